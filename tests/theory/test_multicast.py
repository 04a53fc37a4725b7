"""One transmission for many receivers: what it must come to, in scenarios."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from netfed.chains import chains
from netfed.critical_path import critical_paths
from tests.conftest import DROPOUT, LOSSY, NOTHING, Build, Play
from tests.theory.test_conservation import Auditor, built

MULTICAST = "network.delivery=multicast"
DOWN_BITS = 320_000
LATENCY_S = 0.005
FLUID = (
    "network={kind: fluid, uplink: {rate: 1 Mbit/s}, downlink: {rate: 10 Mbit/s, latency: 5 ms},"
    " backhaul: {rate: 1 Gbit/s}}"
)
ONE = "topology={kind: hexagonal, base_stations: 1}"
TWO = "topology={kind: hexagonal, base_stations: 2}"
SCHEMES = {
    "fedavg": "scheme={kind: fedavg, rounds: 3, cohort: 6}",
    "hierarchical": "scheme={kind: hierarchical, rounds: 2, cohort: 6, edge_rounds: 2}",
    "fedbuff": "scheme={kind: fedbuff, aggregations: 3, concurrency: 4, buffer: 2}",
    "fedasync": "scheme={kind: fedasync, aggregations: 6, concurrency: 3, alpha: 0.5}",
}


def receptions(played: Any) -> list[dict[str, Any]]:
    return [row for row in played.events if row["kind"] == "reception"]


def downward(played: Any) -> list[dict[str, Any]]:
    """The transmissions of cells."""
    return [row for row in played.events if row["kind"] == "transfer" and row["link"] == "downlink"]


@pytest.mark.parametrize("text", ["fluid", "fixed"])
def test_three_devices_receive_at_the_rate_of_the_slowest(built_nothing: Build, text: str) -> None:
    """10, 20 and 40 Mbit/s: B bits take B / (10 Mbit/s), for all of them."""
    world = FLUID.replace("fluid", text), ONE, "devices.count=3", "scheme.cohort=3"
    experiment = built_nothing(*world, MULTICAST)
    experiment.simulation.population.rate_down_bps[:] = (10e6, 20e6, 40e6)
    rows = [row for window in experiment.windows() for row in window.events]
    first = [row for row in rows if row["kind"] == "reception"][:3]
    assert [row["t_s"] for row in first] == pytest.approx([DOWN_BITS / 10e6 + LATENCY_S] * 3, rel=1e-12)
    assert [row["airtime_s"] for row in first] == pytest.approx([DOWN_BITS / 10e6] * 3, rel=1e-12)
    bits = experiment.summary()["bits"]
    assert bits["down"] == 3 * DOWN_BITS
    assert bits["backhaul"] == bits["down"] + bits["up"]


@pytest.fixture
def built_nothing(tmp_path: Any) -> Build:
    from netfed.build import build
    from netfed.scenario import loads

    return lambda *sets: build(loads(NOTHING, "test.yaml", sets=sets), tmp_path / "store")


@pytest.mark.parametrize("scheme", ["fedavg", "hierarchical"])
@pytest.mark.parametrize("cache", ["downlink.cache=true", "downlink={codec: {kind: topk, fraction: 0.05}}"])
def test_what_is_learned_is_what_is_learned_by_unicast(play: Play, scheme: str, cache: str) -> None:
    world = SCHEMES[scheme], FLUID, TWO, cache, "devices.speed_spread=0.5"
    unicast, multicast = play(*world), play(*world, MULTICAST)
    assert multicast.summary["model_digest"] == unicast.summary["model_digest"]
    assert multicast.summary["updates"] == unicast.summary["updates"]
    assert [row["loss"] for row in multicast.rounds] == [row["loss"] for row in unicast.rounds]
    assert multicast.summary["bits"]["up"] == unicast.summary["bits"]["up"]
    assert multicast.summary["bits"]["down"] < 0.6 * unicast.summary["bits"]["down"]
    assert multicast.rounds[-1]["t_s"] < unicast.rounds[-1]["t_s"]


def test_a_cohort_of_a_cell_is_sent_one_payload_for_each_version_that_it_holds(play: Play) -> None:
    """The first model to who has none, or all that a device has missed since the last that it was sent."""
    world = FLUID, ONE, "scheme={kind: fedavg, rounds: 6, cohort: 4}", "downlink={codec: {kind: topk, fraction: 0.05}}"
    played = play(*world, MULTICAST)
    held: dict[int, int] = {}
    version, began_s = 0, -1.0
    groups: list[set[int]] = []
    for row in sorted(receptions(played), key=lambda row: (row["start_s"], row["device"])):
        if row["start_s"] != began_s:
            began_s, version = row["start_s"], version + 1
            groups.append(set())
        groups[-1].add(held.get(row["device"], 0))
        held[row["device"]] = version
    transmissions: dict[float, int] = {}
    for row in downward(played):
        transmissions[row["start_s"]] = transmissions.get(row["start_s"], 0) + 1
    assert list(transmissions.values()) == [len(group) for group in groups]
    assert max(map(len, groups)) > 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_devices_are_lost_to_the_same_causes(play: Play, scheme: str) -> None:
    """In each participation, by its device and its draw, for those that both runs come to."""
    fates = []
    for delivery in ("network.delivery=unicast", MULTICAST):
        played = play(SCHEMES[scheme], LOSSY, DROPOUT, TWO, delivery)
        of: dict[int, list[str]] = {}
        for row in played.events:
            if row["kind"] in ("arrival", "lost"):
                of.setdefault(row["device"], []).append(row.get("cause") or "")
        fates.append(of)
    if scheme in ("fedavg", "hierarchical"):
        assert fates[0] == fates[1]
    for device in {*fates[0]} & {*fates[1]}:
        assert all(one == other for one, other in zip(fates[0][device], fates[1][device], strict=False))
    assert {"loss-downlink", "dropout-download"} & {cause for fate in fates[1].values() for cause in fate}


def test_who_begins_alone_is_sent_the_model_as_by_unicast(play: Play) -> None:
    world = "scheme={kind: fedbuff, aggregations: 6, concurrency: 1, buffer: 2}", LOSSY, DROPOUT
    unicast, multicast = play(*world), play(*world, MULTICAST)
    assert multicast.rounds == unicast.rounds
    assert multicast.summary["energy_parts_j"] == unicast.summary["energy_parts_j"]
    assert {row["receivers"] for row in downward(multicast)} == {1}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_critical_paths_tell_of_receptions(play: Play, scheme: str) -> None:
    """Each round is one leg after the other, and the downlink's airtime is that of the transmission."""
    played = play(SCHEMES[scheme], FLUID, TWO, MULTICAST, "devices.speed_spread=0.5")
    told = [row for row in played.events if row["kind"] in ("transfer", "reception", "compute", "lost")]
    ends_s = [row["t_s"] for row in played.rounds]
    rounds = list(critical_paths(chains(told), [row["version"] for row in played.rounds], ends_s))
    seen = set()
    for this in rounds[1:]:
        assert sum(this.parts.values()) == Fraction(this.end_s) - Fraction(this.begin_s)
        for leg, later in zip(this.legs, this.legs[1:], strict=False):
            assert leg.end_s == later.start_s
        for leg in this.legs:
            if leg.name == "downlink" and leg.device is not None:
                (row,) = (row for row in receptions(played) if (row["device"], row["t_s"]) == (leg.device, leg.end_s))
                seen.add(leg.device)
                if leg.start_s == row["start_s"]:
                    assert float(leg.parts["downlink radio"]) == pytest.approx(row["airtime_s"])
                    assert float(leg.parts["downlink latency"]) == pytest.approx(LATENCY_S)
    assert seen


@given(
    scheme=st.sampled_from(
        [
            "scheme={kind: fedavg, rounds: 3, cohort: 5, over_selection: 0.5, deadline: 100 ms}",
            "scheme={kind: fedavg, rounds: 3, cohort: 5, over_selection: 0.5}",
            SCHEMES["fedbuff"],
        ]
    ),
    kind=st.sampled_from(["fixed", "fluid"]),
    down=st.sampled_from(["{rate: 0.3 Mbit/s, spread: 0.7, loss: 0.3}", "{rate: 10 Mbit/s, latency: 5 ms, loss: 0.1}"]),
    backhaul=st.sampled_from(["0.5 Mbit/s", "1 Gbit/s"]),
    battery=st.sampled_from(["null", "{capacity: 200 mJ, initial: [0.1, 1.0]}"]),
    availability=st.sampled_from(["always", "{kind: windows, period: 200 ms, duration: 120 ms}"]),
    cache=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_conservation_after_every_event(
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    kind: str,
    down: str,
    backhaul: str,
    battery: str,
    availability: str,
    cache: bool,
    seed: int,
) -> None:
    from netfed import simulation
    from netfed.errors import RunFailed

    monkeypatch.setattr(simulation, "_LOST_IN_A_ROW", 100)
    world = (
        f"network={{kind: {kind}, uplink: {{rate: 1 Mbit/s}}, downlink: {down}, backhaul: {{rate: {backhaul}}}}}",
        *(MULTICAST, scheme, DROPOUT, TWO, f"seed={seed}", f"downlink.cache={str(cache).lower()}"),
        *(f"devices.battery={battery}", f"devices.availability={availability}", "model.hidden=[4]"),
    )
    with built(*world) as experiment:
        auditor = Auditor(experiment)
        try:
            list(experiment.windows())
        except RunFailed:
            event("nobody can finish")
            return
        auditor.audit_end()
    transmissions = [row for row in auditor.rows if row["kind"] == "transfer" and row["link"] == "downlink"]
    heard = [row for row in auditor.rows if row["kind"] == "reception"]
    assert sum(row["receivers"] for row in transmissions) >= len(heard)
    if any(row["receivers"] > 1 for row in transmissions):
        event("several receivers")
    if any(row["delivered"] is False for row in transmissions):
        event("all receivers lost")
