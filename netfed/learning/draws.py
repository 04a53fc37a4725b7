"""In-model randomness, drawn from the job's own generator.

Dropout and its kin draw from one generator of the whole process, so that what a model computes would depend on what
other threads have drawn. `JobDraws` sends these draws to a generator of the caller's; `probe` tells beforehand whether
a model needs that, and refuses a model that draws in a way that cannot be redirected.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any

import torch
from numpy.random import MT19937, mtrand
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from netfed.errors import ScenarioError

Function = Callable[..., Any]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators of the whole process (torch's on the CPU, NumPy's, Python's); give them back afterwards.

    Not for use beside threads that draw from them. (``torch.manual_seed`` would reseed every accelerator as well.)
    """
    torch_state, numpy_generator, python_state = torch.get_rng_state(), mtrand.get_bit_generator(), random.getstate()
    torch.default_generator.manual_seed(seed)
    mtrand.set_bit_generator(MT19937(seed))
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        mtrand.set_bit_generator(numpy_generator)
        random.setstate(python_state)


class JobDraws(TorchFunctionMode):
    """While entered, the random functions that this thread calls draw from ``generator``.

    Dropout gives the bits that PyTorch's own gives on a CPU when the process's generator is in the same state.
    Attention with dropout is computed by its definition. A generator that the caller names stays in use. Out of reach
    are dropout inside the fused recurrent networks (``nn.RNN``, ``nn.LSTM``, ``nn.GRU``) and draws by NumPy or Python:
    `probe` refuses these. Costs about 1 us for each torch call, random or not.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self, func: Function, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        redirected = _REDIRECTED.get(func)
        if redirected is None:
            return func(*args, **(kwargs or {}))
        return redirected(self, *args, **(kwargs or {}))

    def source(self) -> Generator:
        """Return what a function that takes a generator draws from."""
        return self.generator

    def fill(self, noise: Tensor, probability: float) -> None:
        """Set each element to 1 with a probability, else to 0."""
        noise.bernoulli_(probability, generator=self.generator)


def probe(model: nn.Module, inputs: Tensor) -> bool:
    """Tell whether ``model`` draws while it trains, by two passes of a copy of it over the same batch.

    A third pass, in evaluation mode, must not draw at all.

    Args:
        model: Left as it is, buffers and training mode included.
        inputs: A batch.  # [example, ...]

    Raises:
        ScenarioError: The model draws from a generator of the process (the message names the submodule), draws again
            in the backward pass, or does not repeat itself when its generator does.
    """
    twin = copy.deepcopy(model).train()
    kept = {name: buffer.clone() for name, buffer in twin.named_buffers() if name in twin.state_dict()}
    draws = JobDraws(torch.Generator())
    unused = draws.generator.manual_seed(0).get_state()
    with seeded(0), draws, _process_draws_refused(twin):
        first = twin(inputs.clone())
        used = draws.generator.get_state()
        if first.requires_grad:
            first.sum().backward()
        if not torch.equal(draws.generator.get_state(), used):
            raise ScenarioError(
                f"model: {type(model).__name__} draws in the backward pass, as activation checkpointing does when it "
                "repeats dropout: the masks would differ from the forward pass's"
            )
        for name, original in kept.items():
            twin.get_buffer(name).copy_(original)
        draws.generator.set_state(unused)
        if not torch.equal(_bits(twin(inputs.clone())), _bits(first)):
            raise ScenarioError(
                f"model: {type(model).__name__} gives other outputs for the same batch and the same generator: "
                "it draws from a generator of its own, or keeps a state that is not a buffer of its state dict"
            )
    with seeded(0), torch.no_grad(), _process_draws_refused(twin.eval()):
        twin(inputs)
    return not torch.equal(used, unused)


@contextmanager
def _process_draws_refused(model: nn.Module) -> Iterator[None]:
    """Raise when a submodule's forward pass advances a generator of the process; the innermost is named."""
    before: dict[nn.Module, tuple[Any, ...]] = {}

    def enter(module: nn.Module, _inputs: Any) -> None:
        before[module] = _process_state()

    def leave(name: str, module: nn.Module, _inputs: Any, _outputs: Any) -> None:
        if _process_state() != before[module]:
            raise ScenarioError(
                f"model: {name or 'the module'} ({type(module).__name__}) draws from a generator of the whole process "
                "that cannot be replaced by the device's own: no two runs of threads would agree"
            )

    hooks = [module.register_forward_pre_hook(enter) for module in model.modules()]
    hooks += [module.register_forward_hook(partial(leave, name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _process_state() -> tuple[Any, ...]:
    words = mtrand.get_bit_generator().state["state"]
    return torch.get_rng_state().numpy().tobytes(), words["key"].tobytes(), words["pos"], random.getstate()


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().view(torch.uint8)


def _with_generator(function: Function) -> Function:
    """Return ``function``, which takes ``generator=``, as called under `JobDraws`."""

    def redirected(draws: JobDraws, *args: Any, generator: Generator | None = None, **kwargs: Any) -> Any:
        return function(*args, generator=generator or draws.source(), **kwargs)

    return redirected


def _opened(function: FunctionType) -> Function:
    """Return a function written in Python as called under `JobDraws`: the functions that it calls are redirected.

    Its body begins by handing itself to the mode in force, again and again; the copy that runs here leaves that out.
    """

    checks = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    scope = function.__globals__ | dict.fromkeys(checks, lambda *_: False)
    body = FunctionType(function.__code__, scope, function.__name__, function.__defaults__)

    def redirected(draws: JobDraws, *args: Any, **kwargs: Any) -> Any:
        with draws:
            return body(*args, **kwargs)

    return redirected


def _dropout(
    draws: JobDraws, tensor: Tensor, p: float, train: bool, *, inplace: bool, feature: bool = False, alpha: bool = False
) -> Tensor:
    """ATen's dropout (``aten/src/ATen/native/Dropout.cpp``), whose noise is then the same to the bit.

    Args:
        draws: The mode in force.
        tensor: [...], or [example, channel, ...] for features.
        p: Probability of dropping.
        train: Without it nothing is dropped.
        inplace: Change ``tensor``.
        feature: Drop whole channels (Tompson et al. 2015, arXiv:1411.4280).
        alpha: Drop to SELU's negative limit, and keep mean and variance (Klambauer et al. 2017, arXiv:1706.02515).
    """
    multiply = Tensor.mul_ if inplace else Tensor.mul
    if p == 0 or not train:
        return tensor
    if p == 1:
        return multiply(tensor, 0)
    noise = tensor.new_empty(tensor.shape[:2] + (1,) * (tensor.dim() - 2)) if feature else torch.empty_like(tensor)
    draws.fill(noise, 1 - p)
    if not alpha:
        return multiply(tensor, noise.div_(1 - p))
    limit = 1.7580993408473766
    scale = ((limit**2 * p + 1) * (1 - p)) ** -0.5
    shift = noise.add(-1).mul_(limit * scale).add_(limit * scale * p)
    return multiply(tensor, noise.mul_(scale)).add_(shift)


def _attention(
    draws: JobDraws,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot-product attention; with dropout by its definition (Vaswani et al. 2017, arXiv:1706.03762, eq. 1).

    Args:
        draws: The mode in force.
        query: [..., head, target, width].
        key: [..., head, source, width].
        value: [..., head, source, width].
        attn_mask: Added to the scores; or, if boolean, true for the pairs that take part.  # [..., target, source]
        dropout_p: Probability of dropping an attention weight.
        is_causal: Let no target see a later source.
        scale: Of the scores; by default 1 / sqrt(width).
        enable_gqa: Repeat key and value heads to match the query's.
    """
    if dropout_p == 0:
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if enable_gqa:
        groups = query.size(-3) // key.size(-3)
        key, value = (heads.repeat_interleave(groups, dim=-3) for heads in (key, value))
    scores = query @ key.transpose(-2, -1) * (query.size(-1) ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.where(attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return _dropout(draws, scores.softmax(dim=-1), dropout_p, True, inplace=False) @ value


def _like(fill: Function) -> Function:
    def redirected(draws: JobDraws, tensor: Tensor, **kwargs: Any) -> Tensor:
        filled: Tensor = fill(torch.empty_like(tensor, **kwargs), generator=draws.source())
        return filled

    return redirected


_TAKE_GENERATOR: tuple[Any, ...] = (
    torch.bernoulli,
    torch.binomial,
    torch.multinomial,
    torch.normal,
    torch.poisson,
    torch.rand,
    torch.randint,
    torch.randn,
    torch.randperm,
    torch.rrelu,
    torch.rrelu_,
    torch._sample_dirichlet,
    torch._standard_gamma,
    Tensor.bernoulli,
    Tensor.bernoulli_,
    Tensor.cauchy_,
    Tensor.exponential_,
    Tensor.geometric_,
    Tensor.log_normal_,
    Tensor.multinomial,
    Tensor.normal_,
    Tensor.random_,
    Tensor.uniform_,
)

_COMPOSITES: tuple[Any, ...] = (
    torch.autograd.backward,
    torch.autograd.grad,
    Tensor.backward,
    functional.alpha_dropout,
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.feature_alpha_dropout,
    functional.gumbel_softmax,
    functional.multi_head_attention_forward,
    functional.rrelu,
)

_REDIRECTED: dict[Any, Function] = {
    **{function: _with_generator(function) for function in _TAKE_GENERATOR},
    **{function: _opened(function) for function in _COMPOSITES},
    torch.dropout: partial(_dropout, inplace=False),
    torch.dropout_: partial(_dropout, inplace=True),
    torch.feature_dropout: partial(_dropout, inplace=False, feature=True),
    torch.feature_dropout_: partial(_dropout, inplace=True, feature=True),
    torch.alpha_dropout: partial(_dropout, inplace=False, alpha=True),
    torch.alpha_dropout_: partial(_dropout, inplace=True, alpha=True),
    torch.feature_alpha_dropout: partial(_dropout, inplace=False, feature=True, alpha=True),
    torch.feature_alpha_dropout_: partial(_dropout, inplace=True, feature=True, alpha=True),
    torch.rand_like: _like(Tensor.uniform_),
    torch.randn_like: _like(Tensor.normal_),
    functional.scaled_dot_product_attention: _attention,
}
