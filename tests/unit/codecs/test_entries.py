from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.codecs.entries import buffer_bytes, encode_buffers, flatten, restore, sizes
from netfed.codecs.float16 import BFloat16, Float16
from netfed.codecs.float32 import Float32
from netfed.codecs.qsgd import QSGD
from netfed.codecs.sign import SignSGD
from netfed.codecs.spec import Codec
from netfed.codecs.topk import TopK
from netfed.layout import Layout, TensorSpec

SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)
SPECS = st.one_of(
    st.builds(TensorSpec, SHAPES, st.just("float32"), st.booleans()),
    st.builds(TensorSpec, SHAPES, st.just("int64"), st.just(False)),
)
LAYOUTS = st.dictionaries(st.sampled_from("abcdef"), SPECS, max_size=6)
CODECS = st.one_of(
    st.sampled_from([Float16(), BFloat16(), Float32(), SignSGD()]),
    st.builds(TopK, st.floats(0.01, 1)),
    st.builds(QSGD, st.sampled_from([*range(2, 17), 32]), st.integers(1, 20)),
)


def values(layout: Layout, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(spec.shape, generator=generator)
        if spec.dtype == "float32"
        else torch.randint(-(2**60), 2**60, spec.shape, generator=generator)
        for name, spec in layout.items()
    }


@given(LAYOUTS, CODECS)
@settings(max_examples=300, deadline=None)
def test_bits_are_those_of_the_payload_whatever_the_layout(layout: Layout, codec: Codec) -> None:
    tensors, state = values(layout), None
    for _ in range(2):
        body, state = codec.encode(tensors, layout, state, torch.Generator().manual_seed(1))
        payload = codec.serialise(body, layout)
        assert codec.bits(layout) == 8 * len(payload)
        decoded = codec.decode(codec.parse(payload, layout), layout)
        assert list(decoded) == list(layout)
        for name, spec in layout.items():
            assert tuple(decoded[name].shape) == spec.shape
            assert decoded[name].dtype == tensors[name].dtype
            assert spec.trained or torch.equal(decoded[name], tensors[name])


@given(LAYOUTS)
@settings(max_examples=50, deadline=None)
def test_a_vector_and_the_buffers_are_all_there_is(layout: Layout) -> None:
    tensors = values(layout)
    vector, buffers = flatten(tensors, layout), encode_buffers(tensors, layout, torch.Generator())
    assert len(vector) == sum(sizes(layout))
    assert len(buffers) == buffer_bytes(layout)
    restored = restore(vector, b"the codec's own" + buffers, layout)
    assert list(restored) == list(layout)
    assert all(torch.equal(restored[name], tensors[name]) for name in layout)
