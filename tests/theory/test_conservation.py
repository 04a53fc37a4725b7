"""Nothing vanishes and nothing appears, after every single event; and nobody's luck depends on who else is there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from netfed import simulation
from netfed.build import build
from netfed.errors import RunFailed
from netfed.graph import digest
from netfed.network.energy import PARTS
from netfed.recorder import Recorder
from netfed.scenario import loads
from tests.conftest import DROPOUT, FIXED, LOSSY, SMALL, Play

SCHEMES = st.one_of(
    st.builds(
        "scheme={{kind: fedavg, rounds: 3, cohort: {}, over_selection: {}, deadline: {}}}".format,
        st.integers(1, 5),
        st.sampled_from([0.0, 0.5]),
        st.sampled_from(["40 ms", "100 ms", "10 s"]),
    ),
    st.builds(
        "scheme={{kind: fedbuff, aggregations: {}, concurrency: {}, buffer: {}}}".format,
        st.integers(1, 4),
        st.integers(1, 6),
        st.integers(1, 3),
    ),
)
CODECS = st.sampled_from(["codec=float32", "codec={kind: topk, fraction: 0.05}", "codec={kind: topk, fraction: 1}"])
LINK = "{{rate: {} Mbit/s, spread: {}, latency: {} ms, loss: {}}}".format
LINKS = st.builds(
    LINK,
    st.sampled_from([0.3, 1, 20]),
    st.sampled_from([0, 0.7]),
    st.sampled_from([0, 5]),
    st.sampled_from([0, 0.1, 0.3]),
)
BACKHAULS = st.builds(LINK, st.sampled_from([0.5, 2, 1000]), st.just(0), st.sampled_from([0, 10]), st.just(0.02))
RATED = "network={{kind: {}, uplink: {}, downlink: {}, backhaul: {}}}".format
NETWORKS = st.just("network=ideal") | st.builds(RATED, st.sampled_from(["fixed", "fluid"]), LINKS, LINKS, BACKHAULS)
AVAILABILITY = st.sampled_from(
    ["devices.availability=always", "devices.availability={kind: windows, period: 200 ms, duration: 120 ms}"]
)
CHARGING = "{power: 2 W, period: 300 ms, duration: 200 ms}"
BATTERY = st.just("devices.battery=null") | st.builds(
    "devices.battery={{capacity: {}, initial: [0.1, 1.0], charging: {}}}".format,
    st.sampled_from(["20 mJ", "200 mJ"]),
    st.just(CHARGING),
)
RADIO = st.sampled_from(["devices.radio=null", "devices.radio={promotion: 1 ms, tail: 50 ms, tail_power: 0.5 W}"])
WORLDS = st.tuples(
    SCHEMES,
    CODECS,
    NETWORKS,
    st.sampled_from([DROPOUT, "devices.dropout={}"]),
    AVAILABILITY,
    BATTERY,
    RADIO,
    st.builds("seed={}".format, st.integers(0, 2**32)),
    st.builds("topology={{kind: hexagonal, base_stations: {}}}".format, st.integers(1, 3)),
    st.just("devices.speed_spread=0.7"),
    st.just("model.hidden=[4]"),
)


class Auditor:
    """Checks a simulation after every event."""

    def __init__(self, experiment: Any) -> None:
        self.experiment = experiment
        self.sim = sim = experiment.simulation
        self.events = 0
        self.now_s = 0.0
        self.rows: list[dict[str, Any]] = []
        self.spent_j = dict.fromkeys((*PARTS, "tail"), 0.0)
        self.delivered: Counter[tuple[str, int]] = Counter()
        self.step = sim.env.step
        sim.env.step = self.audited_step
        sim.recorder.row = self.seen_row
        sim.network.ledger.charge = self.seen_charge

    def seen_row(self, kind: str, **fields: Any) -> None:
        Recorder.row(self.sim.recorder, kind, **fields)
        self.rows.append({"kind": kind, **fields})
        if kind == "transfer":
            self.delivered[fields["link"], fields["cell"]] += fields["bits"]

    def seen_charge(self, device_id: int, part: Any, joules: float) -> None:
        type(self.sim.network.ledger).charge(self.sim.network.ledger, device_id, part, joules)
        self.spent_j[part] += joules

    def audited_step(self) -> None:
        self.step()
        self.events += 1
        env, network = self.sim.env, self.sim.network
        assert env.now >= self.now_s, "time goes back"
        self.now_s = env.now
        network.check_conservation()
        for direction, media in network.media.items():
            for base_station, medium in enumerate(media):
                tally = network.traffic.tally(direction, base_station)
                assert min(tally) >= 0, tally
                assert tally.delivered + tally.lost == self.delivered[direction, base_station]
                self.audit_rates(medium, network.traffic._counters[direction][base_station].live)
        self.audit_energy()

    def audit_rates(self, medium: Any, live: Any) -> None:
        """No flow is faster than its radio, and all of them together no faster than their backhaul."""
        assert set(live) >= set(medium._live)
        rates = {flow: medium.rate_bps(flow) for flow in medium._live}
        assert all(0 < rate_bps <= flow.radio_bps * (1 + 1e-12) for flow, rate_bps in rates.items())
        if hasattr(medium, "_sharing"):
            assert math.fsum(rates.values()) <= medium._backhaul_bps * (1 + 1e-12)
            airtime = math.fsum(rate_bps / flow.radio_bps for flow, rate_bps in rates.items())
            assert airtime <= 1 + 1e-12, "more airtime than there is"
        else:
            assert all(rate_bps <= medium._backhaul_bps for rate_bps in rates.values())

    def audit_energy(self) -> None:
        """The ledger, its own entries, and the rows that were recorded tell of the same joules; tails under way have
        no row yet.
        """
        ledger = self.sim.network.ledger
        totals = ledger.totals_j()
        under_way_j = {part: accrued_j() for part, accrued_j in ledger.accruing.items()}
        for part, joules in totals.items():
            assert math.isclose(joules, self.spent_j[part] + under_way_j.get(part, 0.0), rel_tol=1e-9)
        rows_j = math.fsum([*(row.get("energy_j", 0.0) for row in self.rows), *under_way_j.values()])
        assert math.isclose(math.fsum(totals.values()), rows_j, rel_tol=1e-9)

    def audit_end(self) -> None:
        summary = self.experiment.summary()
        updates, jobs, bits = summary["updates"], summary["jobs"], summary["bits"]
        assert updates["selected"] == sum(updates[end] for end in ("arrived", "late", "lost", "dismissed"))
        assert jobs["planned"] == sum(jobs[how] for how in ("trained", "reused", "skipped"))
        assert jobs["trained"] == updates["arrived"], "trained what nobody needs, or not what was needed"
        transfers = [row for row in self.rows if row["kind"] == "transfer"]
        for name, link in (("up", "uplink"), ("down", "downlink")):
            assert bits[name] == sum(row["bits"] for row in transfers if row["link"] == link)
        assert bits["lost"] == sum(row["bits"] for row in transfers if not row["delivered"])
        for row in transfers:
            assert 0 <= row["bits"] <= row["payload_bits"]
            assert row["delivered"] == (row["cause"] is None)
            assert not row["delivered"] or row["bits"] == row["payload_bits"]
        ends = Counter(row["kind"] for row in self.rows)
        assert ends["arrival"] == updates["arrived"]
        assert ends["lost"] == updates["selected"] - updates["arrived"] == sum(summary["losses"].values())


@pytest.fixture(autouse=True)
def _soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world in which hardly any device can finish is given up before its audit takes minutes."""
    monkeypatch.setattr(simulation, "_LOST_IN_A_ROW", 100)


@contextmanager
def built(*sets: str) -> Iterator[Any]:
    with TemporaryDirectory() as store:
        yield build(loads(SMALL, "test.yaml", sets=sets), Path(store))


@given(world=WORLDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_conservation_after_every_event(world: tuple[str, ...]) -> None:
    rounds: list[Any] = []
    with built(*world) as experiment:
        auditor = Auditor(experiment)
        try:
            for window in experiment.windows():
                rounds += window.rounds
        except RunFailed:
            event("nobody can finish")  # such batteries may not last for one update
            assert auditor.sim._lost_in_a_row >= 100
            return
        auditor.audit_end()
    event("losses" if auditor.sim.losses else "no losses")
    versions = experiment.scheme.versions
    assert auditor.events > versions
    assert [row["version"] for row in rounds] == list(range(versions + 1))
    totals = [row["energy_j"] for row in rounds]
    assert totals == sorted(totals)


def test_the_audit_sees_a_bit_that_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    from netfed.errors import SimulationError
    from netfed.network.traffic import Traffic

    end = Traffic.end

    def leaky(traffic: Traffic, *args: Any, **kwargs: Any) -> int:
        bits = end(traffic, *args, **kwargs)
        traffic._counters["uplink"][0].delivered_bits -= 1
        return bits

    monkeypatch.setattr(Traffic, "end", leaky)
    with built(FIXED) as experiment:
        Auditor(experiment)
        with pytest.raises(SimulationError, match="uplink of base station 0 does not add up"):
            list(experiment.windows())


# Nobody's draws depend on who else is there.

TOLD_APART = (
    LOSSY,
    DROPOUT,
    "task.dataset={kind: synthetic, examples: 8000, classes: 3, side_pixels: 8}",
    "task.split={cloud: 0.1, devices: 0.7, test: 0.2}",
    "task.hands={slant: 0.3, stroke: 0.5, contrast: 0.4, tests: 5}",
    "devices.profile={phone: 0.5, iot-board: 0.5}",
    "devices.speed_spread=0.5",
    "devices.availability={kind: windows, period: 1 s, duration: 0.5 s}",
)


COLUMNS = (
    *("base_station", "sector", "position_m", "rate_up_bps", "rate_down_bps", "profile", "speed", "phase"),
    *("flops_per_s", "bytes_per_s", "compute_w", "transmit_w", "receive_w", "idle_w", "allocation_up"),
    *("held", "ready_s"),
)


def draws_of(sim: Any, device: int) -> dict[str, Any]:
    """All that chance decides about one device, over five participations."""
    from netfed.network.population import Device

    population = sim.population
    rows = {name: np.asarray(getattr(population, name)[device]).tolist() for name in COLUMNS}
    stored = {name for name, value in vars(population).items() if np.shape(value)[:1] == (len(population),)}
    assert stored <= set(COLUMNS)
    causes = ("loss-uplink", "loss-downlink", "dropout-download", "dropout-compute", "dropout-upload")
    luck = [Device(population, device, draw).breaks_off(cause, 0.5) for draw in range(5) for cause in causes]
    assert None in luck
    assert len(set(luck)) > 2
    hands = [sim.streams.normal(f"hands/{name}", [device]).tolist() for name in ("slant", "stroke", "contrast")]
    seeds = [sim.streams.seed(name, device, draw) for name in ("training", "codec") for draw in range(5)]
    chosen = [sim.streams.uniform("selection", [device], version).tolist() for version in range(5)]
    return {**rows, "luck": luck, "hands": hands, "seeds": seeds, "selection": chosen}


def pictures_of(sim: Any, device: int) -> bytes:
    """One device's test pictures, in its own hand."""
    start, end = sim.trainer._task._groups[device : device + 2]
    return sim.trainer._task.tests.inputs[start:end].numpy().tobytes()


def test_another_990_devices_change_nothing_for_the_fourth() -> None:
    with built(*TOLD_APART, "devices.count=10") as few, built(*TOLD_APART, "devices.count=1000") as many:
        assert draws_of(few.simulation, 3) == draws_of(many.simulation, 3)
        assert pictures_of(few.simulation, 3) == pictures_of(many.simulation, 3)
        assert draws_of(few.simulation, 3) != draws_of(few.simulation, 4)
        assert pictures_of(few.simulation, 3) != pictures_of(few.simulation, 4)


def test_another_scheme_or_codec_meets_the_same_devices() -> None:
    schemes = (
        "scheme={kind: fedavg, rounds: 1, cohort: 4}",
        "scheme={kind: fedbuff, aggregations: 2, concurrency: 3, buffer: 1}",
        "scheme={kind: hierarchical, rounds: 1, cohort: 4}",
    )
    codecs = ("codec=float32", "codec={kind: topk, fraction: 0.1}")
    found = set()
    for scheme, codec in product(schemes, codecs):
        with built(*TOLD_APART, scheme, codec) as experiment:
            sim = experiment.simulation
            found.add(digest([draws_of(sim, device) for device in range(len(sim.population))]))
            list(experiment.windows())
            assert sim.tally["selected"] >= 2
    assert len(found) == 1
    with built(*TOLD_APART, "seed=4") as experiment:
        assert digest([draws_of(experiment.simulation, device) for device in range(8)]) not in found


def test_a_metric_more_or_less_changes_no_event(play: Play) -> None:
    world = (LOSSY, DROPOUT, "scheme={kind: fedbuff, aggregations: 4, concurrency: 4, buffer: 2}")
    often, never = play(*world, "evaluate_every=1"), play(*world, "evaluate_every=0")
    assert often.events == never.events
    assert often.summary["model_digest"] == never.summary["model_digest"]
    assert often.rounds[-1]["accuracy"] is not None
    assert never.rounds[-1]["accuracy"] is None


def test_another_recorder_changes_no_other_row(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    from netfed.network.link import Link

    world = (LOSSY, DROPOUT, "scheme={kind: fedavg, rounds: 3, cohort: 4, over_selection: 0.5, deadline: 80 ms}")
    plain = play(*world)
    send = Link.send

    def told_send(link: Link, payload: Any) -> Any:
        link._network.recorder.row("begun", device=link._device.id, bits=payload.bits)
        return send(link, payload)

    monkeypatch.setattr(Link, "send", told_send)
    told = play(*world)
    assert sum(row["kind"] == "begun" for row in told.events) > 12
    assert [row for row in told.events if row["kind"] != "begun"] == plain.events
    assert told.rounds == plain.rounds
    assert told.summary["model_digest"] == plain.summary["model_digest"]
