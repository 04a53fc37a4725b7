"""Where the network does nothing, netfed is a plain PyTorch loop; a scheme that is a case of another is that one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.conftest import DROPOUT, FIXED, LOSSY, Play

EVERYBODY = (
    "scheme.cohort=8",
    "scheme.rounds=4",
    "rule.optimizer={kind: sgd, momentum: 0.9, weight_decay: 0.001}",
    "rule.epochs=2",
)
MODELS = {
    "mlp": "model={kind: mlp, hidden: [16]}",
    "cnn": "model={kind: cnn, channels: [4, 8], hidden: 16}",
    "batchnorm-cnn": "model={kind: batchnorm-cnn, channels: [4, 8], hidden: 16}",
}


def plain_fedavg(sim, rounds: int, epochs: int, batch: int, lr: float, momentum: float, decay: float):
    """FedAvg over all devices (arXiv:1602.05629, algorithm 1) with nothing of netfed but data, seeds and weights."""
    task, module, streams = sim.trainer._task, sim.trainer._adapted, sim.streams
    module = module.to(memory_format=torch.channels_last)
    model = {name: tensor.clone() for name, tensor in sim.graph.read([sim.trainer.initial])[0].items()}
    for version in range(rounds):
        total = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in model.items()}
        examples = [len(task.share(device)) for device in range(task.devices)]
        for device in range(task.devices):
            module.load_state_dict(model)
            module.train()
            optimizer = torch.optim.SGD(module.parameters(), lr=lr, momentum=momentum, weight_decay=decay)
            generator = torch.Generator().manual_seed(streams.seed("training", device, version))
            share = task.share(device)
            for _ in range(epochs):
                for part in torch.randperm(len(share), generator=generator).split(batch):
                    inputs = share.inputs[part].clone(memory_format=torch.channels_last)
                    optimizer.zero_grad()
                    F.cross_entropy(module(inputs), share.labels[part]).backward()
                    optimizer.step()
            for name, tensor in module.state_dict().items():
                total[name] += (examples[device] / sum(examples)) * (tensor - model[name]).double()
        model = {name: tensor.double() + total[name] for name, tensor in model.items()}
        model = {
            name: tensor.round().long() if name.endswith("num_batches_tracked") else tensor.float()
            for name, tensor in model.items()
        }
    return model


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("partition", ["iid", "{kind: dirichlet, alpha: 0.5}"])
def test_ideal_network_and_everybody_is_plain_fedavg(play: Play, model: str, partition: str) -> None:
    played = play(*EVERYBODY, MODELS[model], f"task.partition={partition}")
    expected = plain_fedavg(played.sim, rounds=4, epochs=2, batch=8, lr=0.1, momentum=0.9, decay=0.001)
    assert played.summary["updates"] == {"selected": 32, "arrived": 32, "late": 0, "lost": 0, "dismissed": 0}
    for name, tensor in expected.items():
        assert torch.equal(played.model[name], tensor), name


def test_training_changes_the_model_for_the_better(play: Play) -> None:
    played = play(*EVERYBODY)
    assert played.rounds[0]["accuracy"] < 0.3
    assert played.rounds[-1]["accuracy"] > 0.8
    assert played.rounds[-1]["loss"] < played.rounds[0]["loss"] / 2


def test_fedbuff_without_staleness_is_fedavg(play: Play) -> None:
    """A buffer as large as the cohort, equal devices and equal shares: all arrive at once, none is stale."""
    equal = "task.split={cloud: 0.2, devices: 0.5342236, test: 0.2}"  # 960 examples: 120 each
    fedavg = play(equal, "scheme={kind: fedavg, rounds: 4, cohort: 8}")
    fedbuff = play(equal, "scheme={kind: fedbuff, aggregations: 4, concurrency: 8, buffer: 8}")
    assert {row["staleness"] for row in fedbuff.events if row["kind"] == "arrival"} == {0}
    assert fedbuff.summary["model_digest"] == fedavg.summary["model_digest"]
    assert fedbuff.summary["updates"] == fedavg.summary["updates"]


@pytest.mark.parametrize(
    ("scheme", "model"),
    [
        ("{kind: fedavg, rounds: 4, cohort: 5,", "batchnorm-cnn"),
        ("{kind: fedbuff, aggregations: 4, concurrency: 5, buffer: 2,", "mlp"),
        ("{kind: hierarchical, rounds: 4, cohort: 5,", "batchnorm-cnn"),
    ],
)
def test_a_server_without_momentum_adds_the_mean(play: Play, scheme: str, model: str) -> None:
    plain, still, moved = (
        play(LOSSY, MODELS[model], f"scheme={scheme} server: {server}}}")
        for server in ("mean", "{kind: momentum, momentum: 0}", "{kind: momentum, momentum: 0.5}")
    )
    assert still.results == plain.results
    assert moved.summary["model_digest"] != plain.summary["model_digest"]
    assert moved.events == plain.events, "what the server makes of updates is nothing to the network"


@pytest.mark.parametrize("edge_rounds", [1, 2])
def test_hierarchical_under_one_base_station_is_fedavg(play: Play, edge_rounds: int) -> None:
    """Everybody takes part, and the backhaul takes no time: what is left is a round of FedAvg for each edge round."""
    world = (
        "topology={kind: hexagonal, base_stations: 1}",
        "network={kind: fluid, uplink: {rate: 1 Mbit/s, spread: 0.5, loss: 0.2}, downlink: {rate: 10 Mbit/s},"
        " backhaul: {rate: 1e18 bit/s}}",
        "devices={count: 8, speed_spread: 0.5, dropout: {compute: 0.1}}",
        MODELS["batchnorm-cnn"],
        "codec={kind: topk, fraction: 0.2}",
    )
    fedavg = play(*world, "scheme={kind: fedavg, rounds: 4, cohort: 8, deadline: 80 ms}")
    rounds = 4 // edge_rounds
    edge = f"scheme={{kind: hierarchical, rounds: {rounds}, edge_rounds: {edge_rounds}, cohort: 8, deadline: 80 ms}}"
    hierarchical = play(*world, edge)
    assert hierarchical.summary["updates"] == fedavg.summary["updates"]
    assert min(fedavg.summary["updates"][end] for end in ("arrived", "late", "lost")) > 0
    assert hierarchical.summary["model_digest"] == fedavg.summary["model_digest"]
    every = fedavg.rounds[::edge_rounds]
    assert [row["accuracy"] for row in hierarchical.rounds] == [row["accuracy"] for row in every]
    assert hierarchical.summary["bits"]["up"] == fedavg.summary["bits"]["up"]


def plain_descent(sim, participations: int, batch: int, lr: float):
    """One device's SGD, nothing of netfed in it but data, seeds and weights."""
    module, share = sim.trainer._adapted, sim.trainer._task.share(0)
    model = {name: tensor.clone() for name, tensor in sim.graph.read([sim.trainer.initial])[0].items()}
    for draw in range(participations):
        module.load_state_dict(model)
        optimizer = torch.optim.SGD(module.parameters(), lr=lr)
        generator = torch.Generator().manual_seed(sim.streams.seed("training", 0, draw))
        for part in torch.randperm(len(share), generator=generator).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(module(share.inputs[part]), share.labels[part]).backward()
            optimizer.step()
        after = module.state_dict()
        model = {name: (tensor.double() + (after[name] - tensor).double()).float() for name, tensor in model.items()}
    return model


@pytest.mark.parametrize(
    "scheme",
    [
        "{kind: fedasync, aggregations: 5, concurrency: 1, alpha: 1}",
        "{kind: fedbuff, aggregations: 5, concurrency: 1, buffer: 1}",
        "{kind: fedavg, rounds: 5, cohort: 1}",
        "{kind: hierarchical, rounds: 5, cohort: 1}",
        "{kind: local, rounds: 5, devices: 1}",
    ],
)
def test_a_device_by_itself_descends_as_in_a_plain_loop(play: Play, scheme: str) -> None:
    played = play("devices.count=1", f"scheme={scheme}")
    expected = plain_descent(played.sim, participations=5, batch=8, lr=0.1)
    for name, tensor in played.model.items():
        assert torch.equal(tensor.reshape(expected[name].shape), expected[name]), name
    assert played.rounds[-1]["accuracy"] > 0.8


def test_topk_of_everything_is_float32_in_learning(play: Play) -> None:
    dense = play("scheme.cohort=8", LOSSY, DROPOUT, "scheme.deadline=100 s")
    sparse = play("scheme.cohort=8", LOSSY, DROPOUT, "scheme.deadline=100 s", "codec={kind: topk, fraction: 1}")
    assert sparse.summary["model_digest"] == dense.summary["model_digest"]
    assert sparse.summary["bits"]["up"] > dense.summary["bits"]["up"]


def test_lora_starts_from_the_pretrained_model(play: Play) -> None:
    pretrained = "pretraining={kind: backprop, learning_rate: 0.1, batch_size: 16, epochs: 3}"
    full, lora = play(pretrained), play(pretrained, "adapter={kind: lora, rank: 2}")
    assert lora.rounds[0]["accuracy"] == full.rounds[0]["accuracy"] > 0.5
    assert lora.rounds[0]["t_s"] == full.rounds[0]["t_s"] > 0


def test_without_contention_a_round_takes_its_latencies_its_bits_and_its_training(play: Play) -> None:
    latency = FIXED.replace("1 Mbit/s", "1 Mbit/s, latency: 30 ms").replace("1 Gbit/s", "1 Gbit/s, latency: 20 ms")
    played = play(latency, "scheme={kind: fedavg, rounds: 1, cohort: 1}", "devices.count=1")
    sim = played.sim
    bits = sim.codec.encode_model(sim.trainer.initial, SimpleNamespace(held=-1)).bits
    device_s = sim.trainer.cost(len(sim.trainer._task.share(0)))
    population = sim.population
    compute_s = max(device_s.flops / population.flops_per_s[0], device_s.bytes / population.bytes_per_s[0])
    expected_s = bits / 10e6 + 0.02 + compute_s + bits / 1e6 + 0.05
    assert abs(played.rounds[-1]["t_s"] - expected_s) <= 4 * np.spacing(expected_s)
    assert played.summary["bits"]["up"] == played.summary["bits"]["down"] == bits


def test_the_first_download_brings_the_frozen_model_once(play: Play) -> None:
    once = "scheme={kind: fedavg, rounds: 3, cohort: 8}"
    full, lora = play(once), play(once, "adapter={kind: lora, rank: 1}")
    model_bits = 8 * (16 + 4 * (64 * 16 + 16 + 16 * 10 + 10))
    adapter_bits = 8 * (16 + 4 * (64 + 16 + 16 + 10))
    assert full.summary["bits"]["down"] == 3 * 8 * model_bits
    assert lora.summary["bits"]["down"] == 8 * (model_bits + 3 * adapter_bits)
    assert lora.summary["bits"]["up"] == 3 * 8 * adapter_bits


def test_what_the_network_changes_and_what_it_does_not(play: Play) -> None:
    """Synchronous, no deadline, no loss: only the clock differs. With a deadline the learning differs too."""
    slow, fast = FIXED, FIXED.replace("1 Mbit/s", "100 Mbit/s")
    assert play(slow).summary["model_digest"] == play(fast).summary["model_digest"]
    assert play(slow).summary["sim_time_s"] > play(fast).summary["sim_time_s"]
    spread = ("devices.speed_spread=1.0", "scheme.deadline=30 ms", "scheme.cohort=8")
    late = play(slow.replace("1 Mbit/s", "1 Mbit/s, spread: 1.0"), *spread)
    assert late.summary["updates"]["late"] > 0
    assert late.summary["model_digest"] != play(fast, *spread).summary["model_digest"]
    asynchronous = "scheme={kind: fedbuff, aggregations: 6, concurrency: 6, buffer: 2}"
    spread_up, faster = (network.replace("Mbit/s}", "Mbit/s, spread: 1.0}", 1) for network in (slow, fast))
    assert play(asynchronous, spread_up).summary["model_digest"] != play(asynchronous, faster).summary["model_digest"]


def test_a_shared_store_spares_training_that_only_the_network_differs_in(play: Play, tmp_path) -> None:
    store = tmp_path / "shared"
    slow = play(FIXED, store=store).summary
    fast = play(FIXED.replace("1 Mbit/s", "100 Mbit/s"), store=store).summary
    assert slow["jobs"] == {"planned": 12, "trained": 12, "reused": 0, "skipped": 0}
    assert fast["jobs"] == {"planned": 12, "trained": 0, "reused": 12, "skipped": 0}
    assert fast["model_digest"] == slow["model_digest"]
    other = play(FIXED, "rule.learning_rate=0.11", store=store).summary
    assert other["jobs"] == {"planned": 12, "trained": 12, "reused": 0, "skipped": 0}
