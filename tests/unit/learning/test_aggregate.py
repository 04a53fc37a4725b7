from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.graph import Graph, Node, Store
from netfed.layout import TensorSpec
from netfed.learning.aggregate import Aggregator, add, weighted_sum
from netfed.learning.server import Adam, Mean, Momentum

MODEL = {"weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "count": torch.tensor(10)}
LAYOUT = {"weight": TensorSpec((2, 2), "float32", True), "count": TensorSpec((), "int64", False)}


def as_it_is(sent: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return sent


def delta(weight: float, count: int) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((2, 2), weight), "count": torch.tensor(count)}


@pytest.fixture
def graph(tmp_path) -> Graph:
    return Graph(Store(tmp_path, "test"), lambda chains: [chain() for chain in chains])


@pytest.fixture
def aggregator(graph: Graph) -> Aggregator:
    return Aggregator(graph, as_it_is, LAYOUT)


def given_node(graph: Graph, name: str, value: object) -> Node:
    return graph.node("given", [name], (), lambda: value)


def learned(graph: Graph, name: str, value: object, examples: list[int], faults: list[object]) -> SimpleNamespace:
    """A model that has been moved by one mean."""
    nodes = [given_node(graph, f"{name} faults", fault) for fault in faults]
    return SimpleNamespace(weights=given_node(graph, name, value), examples=[examples], faults=nodes)


def test_the_weighted_sum() -> None:
    total, norms = weighted_sum([0.25, 0.5], [delta(4.0, 4), delta(8.0, 2)])
    assert norms == pytest.approx([80**0.5, 260**0.5])
    assert total["weight"].tolist() == [[5.0, 5.0], [5.0, 5.0]]
    assert total["count"].item() == 2
    assert {tensor.dtype for tensor in total.values()} == {torch.float64}


def test_updates_are_summed_however_they_lie() -> None:
    """Matrices of lanes are transposed; those of other executors, and of codecs, are not."""
    generator = torch.Generator().manual_seed(0)
    dense = [
        {"a": torch.randn(3, 5, generator=generator), "b": torch.randn((), generator=generator), "c": torch.empty(0, 2)}
        for _ in range(4)
    ]
    stacks = torch.stack([update["a"].T for update in dense]).mT
    lanes = [{**update, "a": lane} for update, lane in zip(dense, stacks.unbind(), strict=True)]
    spread = [{**update, "a": update["a"].repeat_interleave(2, 1)[:, ::2]} for update in dense]
    assert lanes[0]["a"].stride() != dense[0]["a"].stride() != spread[0]["a"].stride()
    expected = weighted_sum([0.1, 0.2, 0.3, 0.4], dense)
    for updates in (lanes, [dense[0], *lanes[1:]], [lanes[0], *dense[1:]], spread):
        total = weighted_sum([0.1, 0.2, 0.3, 0.4], updates)
        assert total.norms == pytest.approx(expected.norms, rel=1e-15)
        for name, value in expected.update.items():
            assert torch.equal(total.update[name], value)
            assert total.update[name].is_contiguous()
            assert total.update[name].untyped_storage().nbytes() == value.nbytes, "nothing else is kept alive"


def test_a_model_keeps_its_types_and_its_counters_are_rounded_to_the_nearest() -> None:
    for count, expected in ((0.3, 10), (0.6, 11), (-0.3, 10), (-0.6, 9)):
        model = add(MODEL, {"weight": torch.full((2, 2), 0.5, dtype=torch.float64), "count": torch.tensor(count)})
        assert model["weight"].tolist() == [[1.5, 2.5], [3.5, 4.5]]
        assert model["count"].item() == expected
        assert {name: tensor.dtype for name, tensor in model.items()} == {"weight": torch.float32, "count": torch.int64}


def test_nothing_that_it_is_given_changes() -> None:
    kept = {name: tensor.clone() for name, tensor in MODEL.items()}
    sent = {"weight": torch.full((2, 2), 4.0, dtype=torch.float64), "count": torch.tensor(4.0, dtype=torch.float64)}
    add(MODEL, weighted_sum([1.0, 1.0], [sent, sent]).update)
    assert all(torch.equal(MODEL[name], tensor) for name, tensor in kept.items())
    assert torch.equal(sent["weight"], torch.full((2, 2), 4.0, dtype=torch.float64))


def test_the_sum_is_taken_in_float64() -> None:
    """A thousand steps of half an ulp: float32 would lose each of them."""
    steps = [{"weight": torch.full((1,), 2.0**-24)} for _ in range(1000)]
    total = weighted_sum([1.0] * 1000, steps).update
    assert add({"weight": torch.ones(1)}, total)["weight"].item() == 1 + 500 * 2.0**-23


def test_every_update_has_a_weight() -> None:
    with pytest.raises(ValueError):
        weighted_sum([1.0], [delta(1.0, 1), delta(1.0, 1)])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-8, 8, width=32)), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_it_is_the_sum_of_exact_numbers(parts: list[tuple[float, float]]) -> None:
    total = weighted_sum([weight for weight, _ in parts], [delta(value, 0) for _, value in parts]).update
    exact = 1 + sum((Fraction(weight) * Fraction(value) for weight, value in parts), Fraction(0))
    model = add(MODEL, total)["weight"][0, 0].item()
    assert abs(Fraction(model) - exact) <= Fraction(2**-24) * max(1, abs(exact)) + Fraction(1, 10**14)


def test_the_mean_of_models_is_what_they_gained(graph: Graph, aggregator: Aggregator) -> None:
    origin = given_node(graph, "origin", MODEL)
    one = learned(graph, "one", {"weight": MODEL["weight"] + 1, "count": torch.tensor(14)}, [20, 10], [None])
    two = learned(graph, "two", {"weight": MODEL["weight"] - 2, "count": torch.tensor(12)}, [10], [None])
    (mean,) = graph.read([aggregator.mean_of_models([one, two], origin).mean])
    assert mean.update["weight"].tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert mean.update["count"].item() == 13.5


def test_a_model_weighs_what_it_has_learned_from(graph: Graph, aggregator: Aggregator) -> None:
    """Of bad updates nothing is learned; who has had no others is left out."""
    origin, bad = given_node(graph, "origin", MODEL), {"cause": "failed", "detail": ""}
    up, down = ({"weight": MODEL["weight"] + step, "count": torch.tensor(10)} for step in (4.0, -4.0))
    half = learned(graph, "half", up, [10, 90], [[None, bad]])
    whole = learned(graph, "whole", down, [30], [None])
    none = learned(graph, "none", MODEL, [70, 80], [[bad, bad]])
    (mean,) = graph.read([aggregator.mean_of_models([half, none, whole], origin).mean])
    assert mean.update["weight"].tolist() == [[-2.0, -2.0], [-2.0, -2.0]]  # 10 of 40 examples, and 30
    average = aggregator.mean_of_models([none], origin)
    (model,) = graph.read([aggregator.step(Momentum(), origin, average, None)[0]])
    assert all(torch.equal(model[name], value) for name, value in MODEL.items())


def test_one_model_is_taken_over_to_the_bit(graph: Graph, aggregator: Aggregator) -> None:
    generator = torch.Generator().manual_seed(1)
    before, after = (
        {"weight": torch.randn(50, 20, generator=generator), "count": torch.tensor(n)} for n in (7, 2**53 - 1)
    )
    origin, edge = given_node(graph, "origin", before), learned(graph, "edge", after, [30], [None])
    mean = aggregator.mean_of_models([edge], origin)
    (model,) = graph.read([aggregator.step(Mean(), origin, mean, None)[0]])
    assert torch.equal(model["weight"], after["weight"])
    assert model["count"] == after["count"]


def test_a_server_with_a_memory_steps_parameters_and_averages_buffers(graph: Graph, aggregator: Aggregator) -> None:
    model, memory = given_node(graph, "model", MODEL), None
    server = Momentum(momentum=0.5, learning_rate=2.0)
    for draw in range(2):
        mean = aggregator.mean([given_node(graph, f"sent {draw}", delta(1.0, 3))], [model], [1.0])
        model, memory = aggregator.step(server, model, mean, memory)
    after, remembered = graph.read([model, memory])
    assert (after["weight"] - MODEL["weight"]).tolist() == [[5.0, 5.0], [5.0, 5.0]]  # 2 x 1, then 2 x 1.5
    assert after["count"].item() == 16
    assert set(remembered) == {"velocity.weight"}
    assert remembered["velocity.weight"].dtype == torch.float64


def test_model_and_memory_come_back_from_the_store(tmp_path) -> None:
    """As on resuming: of two steps, the first is in the store."""

    def play(steps: int) -> tuple[list[Node], Graph]:
        graph = Graph(Store(tmp_path, "test"), lambda chains: [chain() for chain in chains])
        aggregator = Aggregator(graph, as_it_is, LAYOUT)
        nodes: list[Node] = [given_node(graph, "model", MODEL)]
        memory = None
        for draw in range(steps):
            mean = aggregator.mean([given_node(graph, f"sent {draw}", delta(0.3 + draw, 3))], [nodes[-1]], [1.0])
            model, memory = aggregator.step(Adam(learning_rate=0.1), nodes[-1], mean, memory)
            nodes.append(model)
        graph.settle([*nodes[1:], memory])
        return nodes, graph

    play(1)
    nodes, graph = play(2)
    assert graph.counts("mean") == {"planned": 2, "trained": 1, "reused": 1, "skipped": 0}
    (resumed,) = graph.read(nodes[2:])
    for entry in tmp_path.rglob("*"):
        if entry.is_file():
            entry.unlink()
    nodes, graph = play(2)
    assert torch.equal(graph.read(nodes[2:])[0]["weight"], resumed["weight"])


def test_mixing_is_a_convex_combination(graph: Graph, aggregator: Aggregator) -> None:
    model, origin, sent = (
        given_node(graph, name, value) for name, value in (("m", MODEL), ("o", delta(5.0, 20)), ("s", delta(3.0, 2)))
    )
    average = aggregator.mean([sent], [origin], [1.0])
    (mixed,) = graph.read([aggregator.mix(model, origin, average, 0.25)])
    assert mixed["weight"].tolist() == [[2.75, 3.5], [4.25, 5.0]]
    assert mixed["count"].item() == 13
    (whole,) = graph.read([aggregator.mix(model, origin, average, 1.0)])
    assert torch.equal(whole["weight"], torch.full((2, 2), 8.0))


def test_a_mean_of_bad_updates_moves_neither_the_model_nor_what_is_remembered(
    graph: Graph, aggregator: Aggregator
) -> None:
    server, model = Momentum(momentum=0.5), given_node(graph, "model", MODEL)
    good = aggregator.mean([given_node(graph, "good", delta(1.0, 3))], [model], [1.0])
    once, memory = aggregator.step(server, model, good, None)
    bad = aggregator.mean([given_node(graph, "bad", delta(float("nan"), 3))], [once], [1.0])
    twice, later = aggregator.step(server, once, bad, memory)
    before, after, remembered, still = graph.read([once, twice, memory, later])
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(torch.equal(still[name], value) for name, value in remembered.items())


def test_buffers_take_the_mean_of_what_devices_hold(graph: Graph, aggregator: Aggregator) -> None:
    """Differences from versions of different age would add up to anything: here to a count below what anybody has."""
    old, new = given_node(graph, "old", delta(0.0, 100)), given_node(graph, "new", delta(0.0, 10))
    shrinking = given_node(graph, "shrinking", delta(1.0, -80))
    average = aggregator.mean([shrinking, shrinking], [old, old], [0.25, 0.25])
    (model,) = graph.read([aggregator.step(Mean(), new, average, None)[0]])
    assert model["count"].item() == 20
    assert model["weight"].tolist() == [[0.5, 0.5], [0.5, 0.5]]
