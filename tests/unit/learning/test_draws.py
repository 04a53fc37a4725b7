from __future__ import annotations

import copy
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.random import mtrand
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from netfed.errors import ScenarioError
from netfed.learning.draws import JobDraws, probe, seeded

pytestmark = pytest.mark.usefixtures("one_blas_thread")

OWN = np.random.default_rng(0)
X = torch.rand(4, 6, 8, generator=torch.Generator().manual_seed(0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def under_job(function: Callable[[], Tensor], seed: int = 0) -> Tensor:
    with JobDraws(generator(seed)):
        return function()


DRAWS: dict[str, Callable[[], Tensor]] = {
    "dropout": lambda: functional.dropout(X, 0.5),
    "dropout keywords": lambda: functional.dropout(input=X, p=0.3, training=True),
    "dropout in place": lambda: functional.dropout(X.clone(), 0.5, inplace=True),
    "torch.dropout": lambda: torch.dropout(X, 0.5, True),
    "torch.dropout_": lambda: torch.dropout_(X.clone(), 0.5, True),
    "dropout1d": lambda: functional.dropout1d(X, 0.5),
    "dropout1d unbatched": lambda: functional.dropout1d(X[0], 0.5),
    "dropout2d": lambda: functional.dropout2d(X[:, :, None], 0.5),
    "dropout3d": lambda: functional.dropout3d(X.clone()[:, :, None, None], 0.5, inplace=True),
    "alpha_dropout": lambda: functional.alpha_dropout(X, 0.3, training=True),
    "alpha_dropout in place": lambda: functional.alpha_dropout(X.clone(), 0.3, training=True, inplace=True),
    "feature_alpha_dropout": lambda: functional.feature_alpha_dropout(X, 0.3, training=True),
    "feature_alpha_dropout in place": lambda: functional.feature_alpha_dropout(
        X.clone(), 0.3, training=True, inplace=True
    ),
    "rrelu": lambda: functional.rrelu(X - 0.5, training=True),
    "gumbel_softmax": lambda: functional.gumbel_softmax(X),
    "bernoulli": lambda: torch.bernoulli(X),
    "multinomial": lambda: torch.multinomial(X[0], 2),
    "normal": lambda: torch.normal(X, 1.0),
    "normal of a size": lambda: torch.normal(0.0, 1.0, (5,)),
    "poisson": lambda: torch.poisson(10 * X),
    "rand": lambda: torch.rand(5),
    "rand_like": lambda: torch.rand_like(X),
    "randn": lambda: torch.randn(5),
    "randn_like": lambda: torch.randn_like(X, dtype=torch.float64),
    "randint": lambda: torch.randint(1000, (5,)),
    "randperm": lambda: torch.randperm(100),
    "x.bernoulli": lambda: X.bernoulli(),
    "x.bernoulli_": lambda: X.clone().bernoulli_(0.5),
    "x.cauchy_": lambda: X.clone().cauchy_(),
    "x.exponential_": lambda: X.clone().exponential_(),
    "x.geometric_": lambda: X.clone().geometric_(0.1),
    "x.log_normal_": lambda: X.clone().log_normal_(),
    "x.multinomial": lambda: X[0].multinomial(2),
    "x.normal_": lambda: X.clone().normal_(),
    "x.random_": lambda: X.clone().random_(0, 1000),
    "x.uniform_": lambda: X.clone().uniform_(),
    "Dirichlet": lambda: torch.distributions.Dirichlet(torch.ones(5)).rsample(),
    "Gamma": lambda: torch.distributions.Gamma(torch.ones(5), torch.ones(5)).rsample(),
    "Binomial": lambda: torch.distributions.Binomial(100, torch.full((5,), 0.5)).sample(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_comes_from_the_jobs_generator_as_it_would_from_the_process(name: str) -> None:
    with seeded(7):
        expected = DRAWS[name]()
    before = torch.get_rng_state()
    drawn = under_job(DRAWS[name], seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn, expected)
    assert not torch.equal(under_job(DRAWS[name], seed=8), expected)


@pytest.mark.parametrize(
    "dropout", [functional.dropout, functional.dropout1d, functional.alpha_dropout, functional.feature_alpha_dropout]
)
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_without_chance_draws_nothing(dropout: Callable[..., Tensor], inplace: bool) -> None:
    job = generator()
    unused = job.get_state()
    with JobDraws(job):
        assert torch.equal(dropout(X.clone(), 0.5, training=False, inplace=inplace), X)
        assert torch.equal(dropout(X.clone(), 0.0, training=True, inplace=inplace), X)
        assert torch.equal(dropout(X.clone(), 1.0, training=True, inplace=inplace), torch.zeros_like(X))
        assert dropout(X[:0], 0.5, training=True, inplace=inplace).shape == X[:0].shape
        with pytest.raises(ValueError, match="between 0 and 1"):
            dropout(X, 1.5, training=True)
    assert torch.equal(job.get_state(), unused)


def test_dropout_in_place_changes_its_input() -> None:
    changed = X.clone()
    returned = under_job(lambda: functional.dropout(changed, 0.5, inplace=True))
    assert returned.data_ptr() == changed.data_ptr()
    assert not torch.equal(changed, X)


def test_dropout_has_the_same_gradient() -> None:
    leaf = X.clone().requires_grad_()
    with seeded(3):
        (expected,) = torch.autograd.grad(functional.dropout(leaf, 0.4).square().sum(), leaf)
    with JobDraws(generator(3)):
        (gradient,) = torch.autograd.grad(functional.dropout(leaf, 0.4).square().sum(), leaf)
    assert torch.equal(gradient, expected)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": torch.rand(5, 5, generator=generator()) > 0.3},
        {"attn_mask": torch.rand(5, 5, generator=generator())},
        {"enable_gqa": True},
    ],
)
def test_attention_with_dropout_is_attention_whose_weights_drop(options: dict[str, object]) -> None:
    heads = 2 if options.get("enable_gqa") else 4
    query, key, value = (torch.randn(3, h, 5, 8, generator=generator(h + i)) for i, h in enumerate((4, heads, heads)))
    without = functional.scaled_dot_product_attention(query, key, value, **options)
    with JobDraws(generator()):
        never = functional.scaled_dot_product_attention(query, key, value, dropout_p=1e-12, **options)
        several = [
            functional.scaled_dot_product_attention(query, key, value, dropout_p=0.2, **options) for _ in range(4000)
        ]
        all_dropped = functional.scaled_dot_product_attention(query, key, value, dropout_p=1.0, **options)
    torch.testing.assert_close(never, without)
    assert torch.equal(all_dropped, torch.zeros_like(without))
    torch.testing.assert_close(torch.stack(several).mean(dim=0), without, atol=0.08, rtol=0)
    assert torch.stack(several).std(dim=0).max() > 0.1


def test_attention_without_dropout_is_untouched_and_draws_nothing() -> None:
    job = generator()
    unused = job.get_state()
    heads = X[:, None]
    with JobDraws(job):
        attended = functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
    assert torch.equal(attended, functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True))
    assert torch.equal(job.get_state(), unused)


def test_a_generator_named_by_the_caller_stays_in_use() -> None:
    assert torch.equal(under_job(lambda: torch.rand(5, generator=generator(3))), torch.rand(5, generator=generator(3)))


class Net(nn.Module):
    """[example, 6, 8] to [example, 3] through every common kind of dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.2, batch_first=True)
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Sequential(nn.Dropout1d(0.2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        encoded = self.encoder(inputs)
        attended, _ = self.attention(encoded, encoded, encoded)
        return self.head(self.norm(attended))


def net() -> Net:
    with seeded(5):
        return Net()


def train(model: nn.Module, job: int) -> list[Tensor]:
    torch.set_num_threads(1)
    parameters = list(model.train().parameters())
    with JobDraws(generator(job)):
        for _ in range(10):
            loss = functional.cross_entropy(model(X), torch.tensor([0, 1, 2, 0]))
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                torch._foreach_add_(parameters, gradients, alpha=-0.1)
    return list(model.state_dict().values())


def same(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


def test_two_threads_train_to_the_bits_of_one() -> None:
    threads, before, model, jobs = torch.get_num_threads(), torch.get_rng_state(), net(), range(8)
    try:
        serial = [train(copy.deepcopy(model), job) for job in jobs]
        with ThreadPoolExecutor(2) as pool:
            threaded = list(pool.map(train, [copy.deepcopy(model) for _ in jobs], jobs))
    finally:
        torch.set_num_threads(threads)
    assert all(same(one, other) for one, other in zip(serial, threaded, strict=True))
    assert not same(serial[0], serial[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_mode_binds_only_the_thread_that_enters_it() -> None:
    with JobDraws(generator()), ThreadPoolExecutor(1) as pool:
        before = torch.get_rng_state()
        pool.submit(torch.rand, 1).result()
        assert not torch.equal(torch.get_rng_state(), before)


class Noisy(torch.autograd.Function):
    """Identity whose gradient is noise."""

    @staticmethod
    def forward(ctx: object, inputs: Tensor) -> Tensor:
        return inputs.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return torch.rand(gradient.shape)


@pytest.mark.parametrize("how", ["x.backward", "autograd.backward", "autograd.grad"])
def test_the_backward_pass_is_redirected_too(how: str) -> None:
    leaf = X.clone().requires_grad_()
    before = torch.get_rng_state()
    with JobDraws(generator(3)):
        loss = Noisy.apply(leaf).sum()
        if how == "x.backward":
            loss.backward()
        elif how == "autograd.backward":
            torch.autograd.backward([loss])
        else:
            (leaf.grad,) = torch.autograd.grad(loss, leaf)
    assert torch.equal(leaf.grad, torch.rand(X.shape, generator=generator(3)))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_draws_nothing() -> None:
    job = generator()
    unused = job.get_state()
    model = net().eval()
    with JobDraws(job):
        model(X)
    assert torch.equal(job.get_state(), unused)


def process_state() -> tuple[bytes, float, float]:
    """Identify the state of all three generators, and leave it as it was."""
    legacy, python = mtrand.get_state(), random.getstate()
    state = torch.get_rng_state().numpy().tobytes(), mtrand.random(), random.random()
    mtrand.set_state(legacy)
    random.setstate(python)
    return state


def test_seeded_gives_the_generators_back() -> None:
    draws = []

    def draw_and_fail() -> None:
        draws.append((torch.rand(1).item(), mtrand.normal(), random.random()))
        raise KeyError

    for _ in range(2):
        before = process_state()
        with pytest.raises(KeyError), seeded(3):
            draw_and_fail()
        assert process_state() == before
        torch.rand(1), mtrand.normal(), random.random()
    assert draws[0] == draws[1]


class Accumulates(nn.Module):
    """Adds a buffer that every pass changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(8))

    def forward(self, inputs: Tensor) -> Tensor:
        self.total += inputs.detach().sum(dim=(0, 1))
        return inputs + self.total


@pytest.mark.parametrize(
    ("model", "draws"),
    [
        (nn.Flatten(), False),
        (nn.BatchNorm1d(6), False),
        (nn.Sequential(nn.Dropout(0.0), nn.Linear(8, 8)), False),
        (nn.Dropout(0.1), True),
        (nn.Dropout(0.1).eval(), True),
        (nn.Sequential(nn.Dropout(0.1, inplace=True), nn.Linear(8, 8)), True),
        (Accumulates(), False),
        (nn.Sequential(nn.Linear(8, 8), nn.AlphaDropout(0.1)), True),
        (nn.Sequential(nn.Linear(8, 8), nn.RReLU()), True),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True), True),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), False),
        (net(), True),
    ],
)
def test_probe_tells_whether_a_model_draws(model: nn.Module, draws: bool) -> None:
    inputs = X.clone()
    assert probe(model, inputs) is draws
    assert torch.equal(inputs, X)


def test_probe_leaves_everything_as_it_was() -> None:
    model = net().eval()
    model.attention.train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    before = process_state()
    probe(model, X)
    assert same(list(state.values()), list(model.state_dict().values()))
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert process_state() == before


class Around(nn.Module):
    """A linear map, and something strange after it."""

    def __init__(self, strange: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.strange = strange

    def forward(self, inputs: Tensor) -> Tensor:
        return self.strange(self.linear(inputs))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.memory = kind(8, 8, num_layers=2, dropout=0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.memory(inputs)[0]


class OwnGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.generator = torch.Generator()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear(inputs) + torch.rand(8, generator=self.generator)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(8, 8), Recurrent(nn.LSTM)), r"1\.memory \(LSTM\) draws from a generator of the whole"),
        (nn.Sequential(nn.Linear(8, 8), Recurrent(nn.GRU)), r"1\.memory \(GRU\) draws"),
        (Recurrent(nn.RNN), r"memory \(RNN\) draws"),
        (Around(lambda x: x + torch.randint_like(x, 5)), r"the module \(Around\) draws"),
        (nn.Sequential(Around(lambda x: x * random.random())), r"0 \(Around\) draws"),
        (Around(lambda x: x * mtrand.random()), r"the module \(Around\) draws"),
        (Around(lambda x: checkpoint(nn.Dropout(0.5), x, use_reentrant=False) ** 2), "Around draws in the backward"),
        (nn.Sequential(nn.Linear(8, 8), nn.FractionalMaxPool2d(2, (3, 3))), r"1 \(FractionalMaxPool2d\) draws"),
        (OwnGenerator(), "OwnGenerator gives other outputs"),
        (Around(lambda x: x * OWN.random()), "Around gives other outputs"),
    ],
)
def test_probe_refuses_what_the_mode_cannot_redirect(model: nn.Module, message: str) -> None:
    before = process_state()
    with pytest.raises(ScenarioError, match=message):
        probe(model, X)
    assert process_state() == before
