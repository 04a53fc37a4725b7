"""What the papers prove of their codecs holds of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from netfed.codecs.qsgd import QSGD
from netfed.codecs.sign import SignSGD
from netfed.codecs.spec import Codec
from netfed.codecs.topk import TopK
from netfed.layout import Layout, TensorSpec
from tests.conftest import Play

BUCKET = 48
ONE_BUCKET: Layout = {"weight": TensorSpec((BUCKET,), "float32", True)}
TWO_TENSORS: Layout = {"weight": TensorSpec((20, 5), "float32", True), "bias": TensorSpec((20,), "float32", True)}


def heavy_tailed(seed: int = 0) -> np.ndarray:
    vector = torch.randn(BUCKET, generator=torch.Generator().manual_seed(seed))
    return (vector * vector.abs()).numpy()


def drawn(codec: QSGD, vector: np.ndarray, draws: int) -> np.ndarray:
    """Return what many uploads of one update decode to.  # float64 [draw, entry]"""
    generator = torch.Generator().manual_seed(5)
    update = {"weight": torch.from_numpy(vector)}
    bodies = (codec.encode(update, ONE_BUCKET, None, generator)[0] for _ in range(draws))
    return np.stack([codec.decode(body, ONE_BUCKET)["weight"].double().numpy() for body in bodies])


@pytest.mark.parametrize("entry_bits", [2, 3, 5, 8])
def test_qsgd_is_unbiased(entry_bits: int) -> None:
    """arXiv:1610.02132, lemma 3.1 (i): the mean of many uploads is the update, by a z-test of each entry."""
    vector, draws = heavy_tailed(), 3000
    step = np.linalg.norm(vector.astype(np.float64)) / (2 ** (entry_bits - 1) - 1)
    fraction = np.abs(vector) / step % 1
    deviation = step * np.sqrt(fraction * (1 - fraction) / draws)  # of the mean of Bernoulli draws
    z = (drawn(QSGD(entry_bits), vector, draws).mean(0) - vector) / deviation
    assert np.abs(z).max() < 4
    assert 0.5 < np.square(z).mean() < 1.7  # chi-square with 48 degrees of freedom: 0.48 to 1.73 in 999 of 1000


@pytest.mark.parametrize("entry_bits", [2, 3, 5, 8])
def test_qsgd_varies_no_more_than_the_paper_says(entry_bits: int) -> None:
    """arXiv:1610.02132, lemma 3.1 (ii): E|Q(v) - v|^2 <= min(d / s^2, sqrt(d) / s) |v|^2."""
    s = 2 ** (entry_bits - 1) - 1
    bound = min(BUCKET / s**2, BUCKET**0.5 / s)
    flat = np.full(BUCKET, 0.1, np.float32)
    for vector in (heavy_tailed(), flat):
        error = np.square(drawn(QSGD(entry_bits), vector, 300) - vector).sum(1).mean() / np.square(vector).sum()
        assert 0 < error <= bound


def test_qsgd_at_full_precision_is_fedavg(play: Play) -> None:
    """With the floats themselves in its body QSGD learns, sends and lasts as no compression does, to the bit."""
    plain, full = play("codec=float32"), play("codec={kind: qsgd, entry_bits: 32}")
    assert full.summary["model_digest"] == plain.summary["model_digest"]
    assert full.rounds == plain.rounds
    assert play("codec={kind: qsgd, entry_bits: 16}").summary["model_digest"] != plain.summary["model_digest"]


@pytest.mark.parametrize("codec", [SignSGD(), TopK(0.05), TopK(0.5)], ids=str)
def test_error_feedback_owes_what_it_has_not_sent(codec: Codec) -> None:
    """All that was decoded and what is still owed add up to all updates (arXiv:1901.09847, proof of theorem II)."""
    state: Any = None
    wanted = got = torch.zeros(120, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        update = {name: 0.3 + torch.randn(spec.shape, generator=generator) for name, spec in TWO_TENSORS.items()}
        body, state = codec.encode(update, TWO_TENSORS, state, generator)
        decoded = codec.decode(body, TWO_TENSORS)
        wanted = wanted + torch.cat([update[name].flatten() for name in TWO_TENSORS]).double()
        got = got + torch.cat([decoded[name].flatten() for name in TWO_TENSORS]).double()
    assert torch.allclose(got + state["residual"].double(), wanted, atol=1e-4)
    assert (got - wanted).norm() < 0.5 * wanted.norm()


def test_scaled_signs_shrink_the_error_as_much_as_the_paper_says() -> None:
    """arXiv:1901.09847, lemma 8: |C(v) - v|^2 = (1 - phi(v)) |v|^2 with the density phi = |v|_1^2 / (d |v|^2)."""
    vector = torch.from_numpy(heavy_tailed())
    body, _ = SignSGD().encode({"weight": vector}, ONE_BUCKET, None, torch.Generator())
    error = (SignSGD().decode(body, ONE_BUCKET)["weight"] - vector).double().norm() ** 2
    density = vector.double().norm(1) ** 2 / (BUCKET * vector.double().norm() ** 2)
    assert error == pytest.approx((1 - density) * vector.double().norm() ** 2)


ASYNCHRONOUS = "scheme={kind: fedbuff, aggregations: 6, concurrency: 6, buffer: 2}"
SPARSE_DOWN = "downlink={codec: {kind: topk, fraction: 0.1}}"


@pytest.mark.parametrize("scheme", ["scheme.rounds=4", ASYNCHRONOUS], ids=["fedavg", "fedbuff"])
@pytest.mark.parametrize("codec", ["float32", "{kind: topk, fraction: 0.1}", "{kind: qsgd, entry_bits: 8}"])
def test_what_is_learned_does_not_depend_on_the_cache(play: Play, scheme: str, codec: str) -> None:
    cached, whole = (play(scheme, f"downlink={{codec: {codec}, cache: {cache}}}") for cache in ("true", "false"))
    assert cached.summary["model_digest"] == whole.summary["model_digest"]
    assert cached.summary["bits"]["up"] == whole.summary["bits"]["up"]
    assert cached.summary["bits"]["down"] <= whole.summary["bits"]["down"]
    assert codec == "float32" or cached.summary["bits"]["down"] < whole.summary["bits"]["down"]


def test_devices_train_from_what_was_published(play: Play) -> None:
    played = play("scheme.rounds=3", SPARSE_DOWN)
    sim = played.sim
    weights, received = sim.graph.read([sim.model.weights, sim.model.received])
    assert not all(torch.equal(weights[name], received[name]) for name in weights)
    assert played.summary["model_digest"] != play("scheme.rounds=3").summary["model_digest"]
    assert played.rounds[1]["accuracy"] == play("scheme.rounds=3").rounds[1]["accuracy"], "version 0 goes down whole"


def test_what_was_published_is_found_in_the_store(play: Play, tmp_path: Path) -> None:
    first, again = (play("codec=signsgd", SPARSE_DOWN, ASYNCHRONOUS, store=tmp_path / "shared") for _ in range(2))
    assert again.results == first.results
    assert (first.summary["jobs"]["trained"], again.summary["jobs"]["trained"]) == (12, 0)


def test_a_downlink_of_all_entries_learns_as_an_uncompressed_one(play: Play) -> None:
    """Up to rounding: published + (model - published) is not always the model to the last bit."""
    plain, full = (play(f"downlink.codec={codec}") for codec in ("float32", "{kind: topk, fraction: 1}"))
    for name, value in plain.model.items():
        assert torch.allclose(full.model[name], value, atol=1e-5)


def test_both_directions_compressed_still_learn(play: Play) -> None:
    rounds = ("scheme.rounds=25", "scheme.cohort=8")
    plain = play(*rounds)
    both = play(*rounds, "codec={kind: topk, fraction: 0.1}", SPARSE_DOWN)
    assert both.rounds[0]["accuracy"] < 0.3
    assert both.summary["metric"]["last"] > plain.summary["metric"]["last"] - 0.1
    assert both.summary["bits"]["down"] < 0.25 * plain.summary["bits"]["down"]
