"""Without learning the network does what it does with it, where payloads and work are the same."""

from __future__ import annotations

from typing import Any

import pytest

from netfed.codecs.float32 import Float32
from tests.conftest import DROPOUT, LOSSY, NOTHING, SMALL, Play

WORLD = (LOSSY, DROPOUT, "devices.speed_spread=0.5", "topology={kind: hexagonal, base_stations: 2}")
EQUAL_SHARES = (
    "task.dataset={kind: synthetic, examples: 200, classes: 4, side_pixels: 3}",
    "task.split={cloud: 0.1, devices: 0.8, test: 0.1}",
    "downlink.cache=false",
    "evaluate_every=0",
)
SCHEMES = (
    "scheme={kind: fedavg, rounds: 4, cohort: 4, over_selection: 0.5, deadline: 60 ms}",
    "scheme={kind: fedbuff, aggregations: 4, concurrency: 4, buffer: 2}",
    "scheme={kind: fedasync, aggregations: 6, concurrency: 4, alpha: 0.5}",
    "scheme={kind: hierarchical, rounds: 3, cohort: 6, edge_rounds: 2}",
)


def untaught(sim: Any) -> tuple[str, ...]:
    """The sizes and the work of a simulation that learns, to be set in one that does not."""
    bits = Float32().bits(sim.trainer.layout)
    frozen_bits = Float32().bits(sim.trainer.frozen) if sim.trainer.frozen else 0
    (examples,) = {len(sim.trainer._task.share(device)) for device in range(len(sim.population))}
    cost = sim.trainer.cost(examples)
    return (
        f"task.download={bits // 8} B",
        f"task.upload={bits // 8} B",
        f"task.frozen={frozen_bits // 8} B",
        f"task.compute={{flops: {cost.flops:.0f} FLOP, bytes: {cost.bytes:.0f} B}}",
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_so_is_every_row_where_many_are_sent_a_model_at_once(play: Play, scheme: str) -> None:
    world = (*WORLD, scheme, "network.delivery=multicast")
    taught = play(*world, *EQUAL_SHARES, "adapter=head", text=SMALL)
    plain = play(*world, *untaught(taught.sim), text=NOTHING)
    assert max(row.get("receivers", 0) for row in plain.events) > 1
    assert plain.events == taught.events
    assert plain.rounds == taught.rounds


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("adapter", ["adapter=full", "adapter=head"])
def test_every_row_is_that_of_the_run_that_learns(play: Play, scheme: str, adapter: str) -> None:
    taught = play(*WORLD, *EQUAL_SHARES, scheme, adapter, text=SMALL)
    plain = play(*WORLD, scheme, *untaught(taught.sim), text=NOTHING)
    assert {row["kind"] for row in plain.events} == {"transfer", "compute", "arrival", "lost", "link"}
    assert plain.events == taught.events
    assert plain.rounds == taught.rounds
    assert plain.experiment.account() == taught.experiment.account()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_there_is_a_result_but_no_metric(play: Play, scheme: str) -> None:
    played = play(*WORLD, scheme, text=NOTHING)
    assert {row["accuracy"] for row in played.rounds} == {row["loss"] for row in played.rounds} == {None}
    summary = played.summary
    assert summary["metric"] == {"name": "accuracy", "first": None, "last": None, "best": None}
    assert summary["model_digest"] is None
    assert summary["jobs"] == {"planned": 0, "trained": 0, "reused": 0, "skipped": 0}
    assert summary["updates"]["selected"] > 0
    assert summary["rounds"] == played.experiment.scheme.versions
    assert play(*WORLD, scheme, text=NOTHING).results == played.results


def test_a_time_passes_on_every_device_whatever_it_is(play: Play) -> None:
    played = play("task.compute=700 ms", "devices.profile={phone: 0.5, vehicle: 0.5}", text=NOTHING)
    took_s = [row["t_s"] - row["start_s"] for row in played.events if row["kind"] == "compute"]
    assert took_s == pytest.approx([0.7] * len(took_s))
    assert len(took_s) >= 8
