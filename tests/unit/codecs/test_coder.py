from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from netfed.codecs.coder import Coder, Payload
from netfed.codecs.downlink import Downlink
from netfed.codecs.float16 import Float16
from netfed.codecs.float32 import Float32
from netfed.codecs.spec import Codec
from netfed.codecs.topk import TopK
from netfed.errors import MisshapenError, SimulationError
from netfed.graph import Graph, Node, Store
from netfed.layout import Layout, TensorSpec
from netfed.learning.tensors import TENSORS
from netfed.streams import Streams

LAYOUT: Layout = {"weight": TensorSpec((4, 5), "float32", True), "count": TensorSpec((), "int64", False)}
FROZEN: Layout = {"base": TensorSpec((3,), "float32", False)}


@dataclass(frozen=True)
class Device:
    id: int = 0
    draw: int = 0


class Rounded(Float32):
    def encode(self, tensors, layout, state, generator):
        return super().encode({name: tensor.round() for name, tensor in tensors.items()}, layout, state, generator)


class Flat(Float32):
    """Looks at what it encodes as it lies in memory."""

    def encode(self, tensors, layout, state, generator):
        return super().encode({**tensors, "weight": tensors["weight"].view(-1).view(4, 5)}, layout, state, generator)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return Graph(Store(tmp_path, "n"), lambda calls: [call() for call in calls])


def coder(
    graph: Graph, codec: Codec, frozen: Layout = FROZEN, seed: int = 1, downlink: Downlink | None = None
) -> Coder:
    return Coder(graph, codec, downlink or Downlink(), LAYOUT, frozen, TENSORS, Streams(seed))


def delta(graph: Graph, seed: int = 0) -> Node:
    generator = torch.Generator().manual_seed(seed)
    value = {"weight": torch.randn(4, 5, generator=generator), "count": torch.tensor(seed)}
    return graph.node("update", [seed], (), lambda: value)


def received(graph: Graph, codec: Coder, payload: Payload) -> dict[str, Any]:
    (sent,) = graph.read([payload.sent])
    assert payload.bits == 8 * len(sent.payload)
    return codec.decode(sent)


def test_size_is_known_before_anything_is_computed(graph: Graph) -> None:
    payload = coder(graph, TopK(0.1)).encode(delta(graph), Device())
    assert payload.bits == 8 * (16 + 2 * 4 + 2 + 8)
    assert graph.counts("payload")["trained"] == graph.counts("update")["trained"] == 0


def test_what_is_sent_as_it_is_needs_no_bytes(graph: Graph) -> None:
    codec, planned = coder(graph, Float32()), delta(graph)
    payload = codec.encode(planned, Device())
    assert payload.sent is planned
    assert payload.state is None
    codec.acknowledge(Device(), payload)
    (update,) = graph.read([planned])
    assert codec.decode(update) is update
    body, _ = Float32().encode(update, LAYOUT, None, torch.Generator())
    assert payload.bits == 8 * len(Float32().serialise(body, LAYOUT))
    with pytest.raises(MisshapenError, match=r"weight is float32 \[5, 4\], not float32 \[4, 5\]"):
        codec.decode({**update, "weight": update["weight"].mT})


def test_who_changes_what_is_sent_as_it_is_sends_bytes(graph: Graph) -> None:
    codec, planned = coder(graph, Rounded()), delta(graph)
    got = received(graph, codec, codec.encode(planned, Device()))
    (update,) = graph.read([planned])
    assert torch.equal(got["weight"], update["weight"].round())


def test_a_codec_is_handed_tensors_in_one_piece_however_training_leaves_them(graph: Graph) -> None:
    weight = torch.randn(5, 4).mT
    planned = graph.node("update", [], (), lambda: {"weight": weight, "count": torch.tensor(0)})
    codec = coder(graph, Flat())
    assert torch.equal(received(graph, codec, codec.encode(planned, Device()))["weight"], weight)


def test_a_state_counts_once_its_upload_is_acknowledged(graph: Graph) -> None:
    codec = coder(graph, TopK(0.1))
    first = codec.encode(delta(graph, 0), Device(draw=0))
    lost = codec.encode(delta(graph, 1), Device(draw=1))
    assert first.sent is not None
    assert lost.sent is not None
    assert len(first.sent.reads) == len(lost.sent.reads) == 1, "nothing was acknowledged yet"
    codec.acknowledge(Device(draw=0), first)
    after = codec.encode(delta(graph, 2), Device(draw=2))
    other = codec.encode(delta(graph, 2), Device(id=1, draw=2))
    assert after.sent is not None
    assert other.sent is not None
    assert after.sent.reads[1] is first.state
    assert len(other.sent.reads) == 1, "each device has a state of its own"

    (state,) = graph.read([first.state])
    wanted = graph.read([delta(graph, 2)])[0]["weight"] + state["residual"].view(4, 5)
    got = received(graph, codec, after)["weight"]
    sent = got != 0
    assert int(sent.sum()) == 2
    assert torch.equal(got[sent], wanted[sent])
    assert graph.counts("payload")["trained"] == 2, "the lost one was encoded for nobody"


def test_recipes_differ_in_codec_device_draw_and_state(graph: Graph) -> None:
    planned = delta(graph)
    codecs = [coder(graph, TopK(0.1)), coder(graph, TopK(0.2)), coder(graph, Float16())]
    devices = [Device(0, 0), Device(0, 1), Device(1, 0)]
    keys = [codec.encode(planned, device).sent.key for codec in codecs for device in devices]
    assert len(set(keys)) == 9
    again = coder(graph, TopK(0.1)).encode(planned, Device(0, 0)).sent
    assert again.key == keys[0]
    assert coder(graph, TopK(0.1), seed=2).encode(planned, Device(0, 0)).sent.key != keys[0]


def test_a_damaged_payload_is_refused(graph: Graph) -> None:
    codec = coder(graph, Float16())
    (sent,) = graph.read([codec.encode(delta(graph), Device()).sent])
    with pytest.raises(SimulationError, match="not a payload of this codec"):
        codec.decode(sent._replace(payload=b"NF" + bytes(len(sent.payload) - 2)))


def test_an_empty_tensor_is_sent_in_no_bytes() -> None:
    layout = {"none": TensorSpec((0, 3), "float32", True), "bias": TensorSpec((2,), "float32", True)}
    tensors = {"none": torch.zeros(0, 3), "bias": torch.tensor([1.0, 2.0])}
    for codec in (Float32(), TopK(1.0)):
        body, _ = codec.encode(tensors, layout, None, torch.Generator())
        decoded = codec.decode(body, layout)
        assert decoded["none"].shape == (0, 3)
        assert decoded["bias"].tolist() == [1.0, 2.0]
