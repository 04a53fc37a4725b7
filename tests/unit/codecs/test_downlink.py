from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from netfed.codecs.coder import Coder
from netfed.codecs.downlink import Downlink
from netfed.codecs.float32 import Float32
from netfed.codecs.qsgd import QSGD
from netfed.codecs.sign import SignSGD
from netfed.codecs.spec import Codec
from netfed.codecs.topk import TopK
from netfed.graph import Graph, Node, Store
from netfed.layout import Layout, TensorSpec
from netfed.learning.tensors import TENSORS
from netfed.plugin import read
from netfed.streams import Streams

LAYOUT: Layout = {"weight": TensorSpec((40, 5), "float32", True), "count": TensorSpec((), "int64", False)}
FROZEN: Layout = {"base": TensorSpec((3,), "float32", False)}
HEADER = 128
MODEL = HEADER + 8 * (4 * 200 + 8)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return Graph(Store(tmp_path, "n"), lambda calls: [call() for call in calls])


def coder(graph: Graph, codec: Codec | None = None, cache: bool = True, frozen: Layout = FROZEN) -> Coder:
    return Coder(graph, Float32(), Downlink(codec or Float32(), cache), LAYOUT, frozen, TENSORS, Streams(1))


def model(graph: Graph, version: int) -> Node:
    generator = torch.Generator().manual_seed(version)
    value = {"weight": torch.randn(40, 5, generator=generator), "count": torch.tensor(10 * version)}
    return graph.node("model", [version], (), lambda: value)


@dataclass
class Device:
    """A receiver of models."""

    held: int = -1


def content(codec: Coder, node: Node, held: Node | None) -> object:
    device = Device()
    if held is not None:
        codec.delivered(device, held)
    return codec.encode_model(node, device).content


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("frozen", [FROZEN, {}])
def test_payloads_have_the_same_content_only_if_they_bring_the_same(graph: Graph, cache: bool, frozen: Layout) -> None:
    """To what a device holds, if differences are what it is sent; whole models are the same to all who have one."""
    codec = coder(graph, TopK(0.05), cache, frozen)
    versions = [model(graph, 0)]
    for version in range(1, 20):
        versions.append(codec.publish(model(graph, version), versions[-1]))
    last = versions[-1]
    assert content(codec, last, versions[-2]) == content(codec, last, versions[-2])
    assert (content(codec, last, versions[-2]) == content(codec, last, versions[-3])) is not cache
    assert content(codec, last, versions[0]) == content(codec, last, versions[1]), "both are sent it whole"
    assert (content(codec, last, None) == content(codec, last, versions[0])) is (not frozen)
    assert content(codec, last, versions[0]) != content(codec, versions[-2], versions[0])
    assert (content(codec, last, last) == content(codec, last, versions[0])) is not cache
    payload = codec.encode(graph.node("update", [0], (), dict), type("Sender", (), {"id": 0, "draw": 0})())
    assert payload.content is None


def bits(codec: Coder, node: Node, held: Node | None = None) -> int:
    """Return what it takes to bring a device up to date that holds a model, or none."""
    device = Device()
    if held is not None:
        codec.delivered(device, held)
    return codec.encode_model(node, device).bits


def published(codec: Coder, models: list[Node]) -> list[Node]:
    sent = models[:1]
    for version in models[1:]:
        sent.append(codec.publish(version, sent[-1]))
    return sent


def test_the_first_model_is_whole_and_brings_the_frozen_part(graph: Graph) -> None:
    first = model(graph, 0)
    for codec in (Float32(), TopK(0.1)):
        assert bits(coder(graph, codec), first) == MODEL + HEADER + 8 * 12
        assert bits(coder(graph, codec, frozen={}), first) == MODEL


def test_a_device_is_sent_what_it_misses_or_the_whole_model_if_that_is_shorter(graph: Graph) -> None:
    codec = coder(graph, TopK(0.1))
    sent = published(codec, [model(graph, version) for version in range(6)])
    difference = HEADER + 8 * (20 * 4 + 20 + 8)
    behind = [bits(codec, sent[5], held) for held in sent]
    assert MODEL // difference == 6
    assert behind == [5 * difference, 4 * difference, 3 * difference, 2 * difference, difference, HEADER]
    later = published(codec, [sent[5], model(graph, 6), model(graph, 7)])[-1]
    assert bits(codec, later, sent[0]) == MODEL
    assert bits(codec, sent[2], sent[5]) == MODEL, "no difference leads back"


def test_models_off_the_chain_are_sent_whole_and_known_again(graph: Graph) -> None:
    codec = coder(graph, TopK(0.1))
    first, second = published(codec, [model(graph, 0), model(graph, 1)])
    elsewhere = model(graph, 9)
    assert bits(codec, elsewhere, first) == MODEL
    assert bits(codec, second, elsewhere) == MODEL
    assert bits(codec, elsewhere, elsewhere) == HEADER


def test_without_compression_a_model_is_itself_and_whole_unless_it_is_held(graph: Graph) -> None:
    codec, models = coder(graph), [model(graph, version) for version in range(3)]
    sent = published(codec, models)
    assert sent == models
    assert [bits(codec, sent[2], node) for node in sent] == [MODEL, MODEL, HEADER]
    assert codec.publish(models[2], models[2]) is models[2]
    assert bits(codec, models[2], models[1]) == MODEL


@pytest.mark.parametrize("compression", [Float32(), TopK(0.1)], ids=str)
def test_without_a_cache_every_model_is_whole(graph: Graph, compression: Codec) -> None:
    codec = coder(graph, compression, cache=False)
    sent = published(codec, [model(graph, 0), model(graph, 1)])
    assert [bits(codec, sent[1], node) for node in sent] == [MODEL, MODEL]


@pytest.mark.parametrize("compression", [TopK(0.2), SignSGD(), QSGD(8)], ids=str)
def test_what_a_difference_leaves_out_is_in_the_next(graph: Graph, compression: Codec) -> None:
    target = [model(graph, 0), *[model(graph, 1)] * 30]
    codec = coder(graph, compression)
    got = graph.read(published(codec, target))
    wanted = graph.read([target[-1]])[0]
    error = [float((value["weight"] - wanted["weight"]).norm()) for value in got]
    assert 0 < error[1] < error[0]
    assert error[-1] < 0.1 * error[0]
    assert [int(value["count"]) for value in got] == [0] + [10] * 30, "buffers go as they are"


def test_recipes_hold_what_went_before(graph: Graph) -> None:
    first, other, second = (model(graph, version) for version in range(3))
    keys = {
        codec.publish(second, before).key
        for codec in (coder(graph, TopK(0.1)), coder(graph, TopK(0.2)), coder(graph, QSGD(8)))
        for before in (first, other)
    }
    assert len(keys) == 6
    assert coder(graph, QSGD(8), cache=False).publish(second, first).key in keys


def test_publishing_computes_nothing(graph: Graph) -> None:
    published(coder(graph, TopK(0.1)), [model(graph, version) for version in range(4)])
    assert graph.counts("published") == {"planned": 3, "trained": 0, "reused": 0, "skipped": 3}


def test_a_codec_whose_error_would_grow_is_refused() -> None:
    assert read(Downlink, {"codec": {"kind": "qsgd", "entry_bits": 6}}) == Downlink(QSGD(6))
    assert Downlink() == Downlink(Float32(), cache=True)
    Downlink(QSGD(4, bucket=16))
    Downlink(QSGD(32))
    for coarse in (QSGD(5), QSGD(2, bucket=1)):
        with pytest.raises(ValueError, match=r"codec qsgd is too coarse .* raise entry_bits or lower bucket"):
            Downlink(coarse)
