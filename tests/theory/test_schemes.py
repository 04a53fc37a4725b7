"""What schemes must do, by their papers, in numbers that can be worked out."""

from __future__ import annotations

import gc
from collections import Counter
from math import fsum
from pathlib import Path

import pytest
import torch

from netfed.client import Arrival
from netfed.schemes.edge import Edge
from tests.conftest import DROPOUT, FIXED, LOSSY, Build, Play

TWO = "topology={kind: hexagonal, base_stations: 2}"
LOSSY_BACKHAUL = LOSSY.replace("loss: 0.02", "loss: 0.4")
SLOW_BACKHAUL = (
    "network={kind: fixed, uplink: {rate: 10 Mbit/s}, downlink: {rate: 10 Mbit/s}, backhaul: {rate: 1 Mbit/s}}"
)


def values(played, nodes) -> list[dict[str, torch.Tensor]]:
    return played.sim.graph.read(nodes)


def test_fedasync_mixes_each_arrival_by_its_staleness(play: Play) -> None:
    """x <- (1 - a) x + a x_new, a = alpha (1 + staleness)^-0.5 (arXiv:1903.03934, algorithm 1), over the events."""
    scheme = "scheme={kind: fedasync, aggregations: 6, concurrency: 3, alpha: 0.6}"
    played = play(LOSSY, scheme, "devices={count: 8, speed_spread: 1}")
    sim, models = played.sim, [played.sim.trainer.initial]
    began: Counter[int] = Counter()
    staleness = []
    for row in played.events:
        if row["kind"] == "lost":
            began[row["device"]] += 1
        if row["kind"] != "arrival" or len(models) > 6:
            continue
        (device,) = sim.participants(torch.tensor([row["device"]]), began[row["device"]])
        began[row["device"]] += 1
        origin = models[row["version"]]
        before, start, delta = values(played, [models[-1], origin, sim.trainer.begin(device, origin).delta])
        share = 0.6 * (1 + row["staleness"]) ** -0.5
        after = {
            name: ((1 - share) * before[name].double() + share * (start[name].double() + delta[name].double())).float()
            for name in before
        }
        models.append(sim.graph.node("expected", [len(models)], (), lambda value=after: value))
        staleness.append(row["staleness"])
    assert max(staleness) > 0
    (expected,) = values(played, models[-1:])
    assert all(torch.equal(played.model[name], tensor) for name, tensor in expected.items())


def test_hierarchical_charges_the_backhaul_for_base_stations_models_only(play: Play) -> None:
    rounds, edge_rounds, cohort = 3, 2, 8
    scheme = f"{{kind: hierarchical, rounds: {rounds}, edge_rounds: {edge_rounds}, cohort: {cohort}}}"
    played = play(TWO, FIXED, f"scheme={scheme}")
    bits = 8 * (16 + 4 * (64 * 16 + 16 + 16 * 10 + 10))
    assert played.summary["bits"] == {
        "up": rounds * edge_rounds * cohort * bits,
        "down": rounds * edge_rounds * cohort * bits,
        "backhaul": rounds * 2 * 2 * bits,
        "lost": 0,
    }
    rows = [row for row in played.events if row["kind"] == "transfer"]
    crossed = Counter()
    for row in rows:
        crossed[row["link"]] += row["bits"]
    assert crossed["backhaul-uplink"] + crossed["backhaul-downlink"] == played.summary["bits"]["backhaul"]
    fedavg = play(TWO, FIXED, "scheme={kind: fedavg, rounds: 6, cohort: 8}").summary["bits"]
    assert fedavg["backhaul"] == fedavg["up"] + fedavg["down"] == played.summary["bits"]["up"] * 2


def test_hierarchical_takes_the_time_of_its_slowest_base_station(play: Play) -> None:
    """Down the backhaul, down the access link, training, and back: nothing overlaps on one device's way."""
    played = play(TWO, SLOW_BACKHAUL, "scheme={kind: hierarchical, rounds: 1, edge_rounds: 2, cohort: 8}")
    sim = played.sim
    bits = played.summary["bits"]["up"] / 16
    transfer_s, backhaul_s = bits / 10e6, bits / 1e6
    ends = []
    for base_station in (0, 1):
        here = [device for device in range(8) if sim.population.base_station[device] == base_station]
        costs = [sim.trainer.cost(len(sim.trainer._task.share(device))) for device in here]
        slowest_s = max(
            max(cost.flops / sim.population.flops_per_s[device], cost.bytes / sim.population.bytes_per_s[device])
            for device, cost in zip(here, costs, strict=True)
        )
        ends.append(2 * backhaul_s + 2 * (2 * transfer_s + slowest_s))
    assert played.rounds[-1]["t_s"] == pytest.approx(max(ends), rel=1e-12)


def test_hierarchical_weighs_base_stations_by_their_examples(play: Play) -> None:
    world = (TWO, "task.partition={kind: dirichlet, alpha: 0.5}")
    played = play(*world, "scheme={kind: hierarchical, rounds: 1, cohort: 8}")
    flat = play(*world, "scheme={kind: fedavg, rounds: 1, cohort: 8}")
    for name, tensor in flat.model.items():
        assert torch.allclose(played.model[name], tensor, rtol=0, atol=1e-7), name


def test_what_a_backhaul_loses_is_missing_from_the_cloud(play: Play) -> None:
    played = play(TWO, LOSSY_BACKHAUL, "scheme={kind: hierarchical, rounds: 6, cohort: 8}")
    lost = [row for row in played.events if str(row.get("cause")).startswith("loss-backhaul")]
    assert {row["link"] for row in lost if row["kind"] == "transfer"} == {"backhaul-uplink", "backhaul-downlink"}
    summary = played.summary
    updates, losses, jobs = summary["updates"], summary["losses"], summary["jobs"]
    assert min(losses["loss-backhaul-uplink"], losses["loss-backhaul-downlink"]) > 0
    assert updates["selected"] == 6 * 8, "who waits behind a lost model has been selected too"
    assert updates["selected"] == updates["arrived"] + updates["late"] + updates["lost"] + updates["dismissed"]
    assert sum(row["arrived"] for row in played.rounds) == updates["arrived"]
    assert sum(row["kind"] == "arrival" for row in played.events) == updates["arrived"]
    assert jobs["trained"] == updates["arrived"], "what the backhaul loses need not be computed"
    assert jobs["skipped"] >= losses["loss-backhaul-uplink"]


def test_what_a_base_station_has_learned_is_found_again_whatever_the_cloud_makes_of_it(
    play: Play, tmp_path: Path
) -> None:
    scheme = "scheme={kind: hierarchical, rounds: 1, edge_rounds: 2, cohort: 8}"
    lossy = FIXED.replace("1 Gbit/s", "1 Gbit/s, loss: 0.4")
    play(TWO, FIXED, scheme, "seed=10", store=tmp_path / "shared")
    for change in ("scheme.server=momentum", lossy):
        again = play(TWO, FIXED, scheme, "seed=10", change, store=tmp_path / "shared").summary
        assert again["jobs"]["trained"] == 0
    assert again["losses"].keys() == {"loss-backhaul-uplink"}


def test_a_device_continues_from_what_its_base_station_has_acknowledged(play: Play, built: Build) -> None:
    """Its second upload is encoded from the state after the first, whether or not the cloud ever hears of them."""
    scheme = "scheme={kind: hierarchical, rounds: 1, edge_rounds: 2, cohort: 8}"
    world = (
        TWO,
        FIXED.replace("1 Gbit/s", "1 Gbit/s, loss: 0.4"),
        "codec={kind: topk, fraction: 0.1}",
        "seed=10",
        scheme,
    )
    experiment = built(*world)
    codec, plain = experiment.simulation.codec, experiment.simulation.codec.encode
    reads = {}

    def encode(delta, device):
        payload = plain(delta, device)
        reads[device.id, device.draw] = len(payload.sent.reads)
        return payload

    codec.encode = encode
    list(experiment.windows())
    summary = experiment.summary()
    assert summary["losses"].keys() == {"loss-backhaul-uplink"}
    assert reads == {(device, draw): 1 + draw for device in range(8) for draw in (0, 1)}
    assert 0 < summary["jobs"]["trained"] == summary["updates"]["arrived"] < 16
    longer = "scheme.rounds=5"
    assert play(*world, longer).results == play(*world, longer, "executor={kind: serial, lazy: false}").results


def test_an_edge_round_asks_who_can_be_reached(built: Build) -> None:
    experiment = built(
        TWO,
        FIXED,
        "devices.availability={kind: windows, period: 200 ms, duration: 120 ms}",
        "scheme={kind: hierarchical, rounds: 3, edge_rounds: 3, cohort: 8}",
    )
    sim = experiment.simulation
    occupy, started = sim.occupy, []

    def seen(device, part):
        started.append((device.draw % 3, sim.population.available(sim.env.now)[device.id]))
        return occupy(device, part)

    sim.occupy = seen
    list(experiment.windows())
    assert {edge_round for edge_round, _ in started} == {0, 1, 2}
    assert all(available for _, available in started)
    assert len(started) < 3 * 3 * 8


def test_base_stations_forget_what_the_cloud_has_used(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two base stations take turns: while one is at work, no update of an earlier version is held for the other."""
    experiment = built(TWO, LOSSY_BACKHAUL, "scheme={kind: hierarchical, rounds: 12, cohort: 1}")
    experiment.ahead = 0
    start, stale = Edge.start, []

    def checked(edge, device, inbox):
        gc.collect()
        arrivals = [held for held in gc.get_objects() if type(held) is Arrival]
        stale.append(sum(arrival.model.version < edge.model.version for arrival in arrivals))
        return start(edge, device, inbox)

    monkeypatch.setattr(Edge, "start", checked)
    list(experiment.windows())
    assert len(stale) > 4
    assert not any(stale)


def test_an_edge_round_without_updates_leaves_the_model_as_it_is(play: Play) -> None:
    """No coded difference of zero goes down, and the unchanged model goes up as a header."""
    played = play(
        TWO.replace("2", "1"),
        FIXED,
        "downlink.codec={kind: topk, fraction: 0.1}",
        "devices.dropout={upload: 1.0}",
        "scheme={kind: hierarchical, rounds: 1, edge_rounds: 3, cohort: 8}",
    )
    rows = [row for row in played.events if row["kind"] == "transfer"]
    header = 8 * 16
    assert [row["bits"] for row in rows if row["link"] == "backhaul-uplink"] == [header]
    down = [row["bits"] for row in rows if row["link"] == "downlink"]
    assert down[8:] == 16 * [header]


def test_devices_by_themselves_send_nothing_and_agree_with_the_reference(play: Play) -> None:
    played = play(FIXED, "scheme={kind: local, rounds: 8, devices: 8}", "references=[local]", "rule.learning_rate=0.05")
    summary = played.summary
    assert summary["bits"] == {"up": 0, "down": 0, "backhaul": 0, "lost": 0}
    assert summary["energy_j"] == summary["energy_parts_j"]["compute"] > 0
    assert summary["updates"] == {"selected": 64, "arrived": 64, "late": 0, "lost": 0, "dismissed": 0}
    assert summary["references"]["local"] == pytest.approx(summary["metric"]["last"], abs=0.02)
    costs = [played.sim.trainer.cost(len(played.sim.trainer._task.share(device))) for device in range(8)]
    slowest_s = max(
        max(cost.flops / flops_per_s, cost.bytes / bytes_per_s)
        for cost, flops_per_s, bytes_per_s in zip(
            costs, played.sim.population.flops_per_s, played.sim.population.bytes_per_s, strict=True
        )
    )
    assert played.rounds[-1]["t_s"] == pytest.approx(8 * slowest_s)


def test_a_device_by_itself_does_not_meet_the_others(play: Play) -> None:
    """Its model is what as many rounds on its own make of it, whoever else is there; a dropout costs it a round."""
    world = (DROPOUT.replace("compute: 0.05", "compute: 0.3"), "model={kind: batchnorm-cnn, channels: [4], hidden: 8}")
    played = play(*world, "scheme={kind: local, rounds: 3, devices: 5}")
    dropped = {(row["version"], row["device"]) for row in played.events if row["kind"] == "lost"}
    assert 0 < len(dropped) < 8
    sim = played.sim
    for index in range(5):
        model = sim.trainer.initial
        for version in range(3):
            if (version, index) not in dropped:
                (device,) = sim.participants(torch.tensor([index]), version)
                model = sim.aggregator.add(model, sim.trainer.begin(device, model).delta)
        (expected,) = values(played, [model])
        assert all(torch.equal(played.model[name][index], tensor) for name, tensor in expected.items())


def test_central_training_costs_the_upload_of_the_examples_that_arrive(play: Play) -> None:
    played = play(FIXED, "scheme={kind: central, rounds: 8, devices: 8}", "references=[central]")
    sim, summary = played.sim, played.summary
    examples = len(sim.trainer._task.pool())
    assert summary["bits"]["up"] == examples * 8 * (64 * 4 + 8)
    assert summary["bits"]["down"] == 0
    assert summary["references"]["central"] == pytest.approx(summary["metric"]["last"], abs=0.02)
    cost = sim.trainer.cost(examples)
    round_s = max(cost.flops / sim.cloud.flops_per_s, cost.bytes / sim.cloud.bytes_per_s)
    times_s = [row["t_s"] for row in played.rounds]
    largest = max(len(sim.trainer._task.share(device)) for device in range(8))
    assert times_s[1] == pytest.approx(largest * 8 * (64 * 4 + 8) / 1e6 + round_s)
    assert times_s[8] == pytest.approx(times_s[1] + 7 * round_s)
    assert summary["energy_parts_j"]["cloud"] == pytest.approx(8 * round_s * sim.cloud.compute_w)
    assert [row["arrived"] for row in played.rounds] == [0] + 8 * [8], "each version is made of every upload"
    assert summary["updates"]["arrived"] == 8
    assert summary["rounds_without_updates"] == 0


def test_central_training_goes_without_what_was_lost(play: Play) -> None:
    played = play(LOSSY.replace("loss: 0.1}", "loss: 0.5}", 1), "scheme={kind: central, rounds: 1, devices: 8}")
    arrived = [row["device"] for row in played.events if row["kind"] == "arrival"]
    assert 0 < len(arrived) < 8
    sim = played.sim
    update = sim.trainer.begin_centrally(sim.trainer.gather(sorted(arrived)), 0, sim.trainer.initial)
    assert update.examples == fsum(len(sim.trainer._task.share(device)) for device in arrived)
    initial, delta = values(played, [sim.trainer.initial, update.delta])
    assert all(torch.equal(played.model[name], (initial[name].double() + delta[name]).float()) for name in initial)


def test_central_training_without_any_data_fails_with_a_reason(play: Play) -> None:
    from netfed.errors import RunFailed

    with pytest.raises(RunFailed, match="nothing to train on: all 4 uploads were lost"):
        play("devices.dropout={upload: 1.0}", FIXED, "scheme={kind: central, rounds: 1, devices: 4}")


def test_rounds_without_updates_are_counted(play: Play) -> None:
    network = FIXED.replace("1 Mbit/s}", "1 Mbit/s, loss: 0.7}", 1)
    played = play(network, "scheme={kind: fedavg, rounds: 6, cohort: 2}")
    empty = [row["version"] for row in played.rounds if row["version"] and not row["arrived"]]
    assert 0 < len(empty) < 6
    assert played.summary["rounds_without_updates"] == len(empty)
    assert play("scheme={kind: fedavg, rounds: 2, cohort: 2}").summary["rounds_without_updates"] == 0


@pytest.mark.parametrize("server", ["momentum", "{kind: adam, learning_rate: 0.1}", "{kind: yogi, learning_rate: 0.1}"])
def test_each_server_learns(play: Play, server: str) -> None:
    played = play(f"scheme={{kind: fedavg, rounds: 8, cohort: 8, server: {server}}}", "rule.learning_rate=0.05")
    assert played.rounds[0]["accuracy"] < 0.3
    assert played.rounds[-1]["accuracy"] > 0.7
