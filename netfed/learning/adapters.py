"""WHAT is trained, and therefore sent."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.errors import ScenarioError
from netfed.plugin import Plugin

if TYPE_CHECKING:
    from torch.nn import Module


class Adapter(Plugin):
    """Chooses the parameters that train; all others are frozen, sent to a device once, and never sent back."""

    def attach(self, module: Module, seed: int) -> None:
        """Change ``module`` in place so that ``requires_grad`` is true for exactly what trains.

        The module's outputs must not change. Randomness comes from ``seed`` alone.

        Raises:
            ScenarioError: The module has nothing that this adapter could train; the message says what it looked for.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Full(Adapter, kind="full"):
    """Every parameter trains, but those that the model itself has frozen."""

    def attach(self, module: Module, seed: int) -> None:
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise ScenarioError(f"model: {type(module).__name__} has no parameter that trains")


@dataclass(frozen=True)
class LoRA(Adapter, kind="lora"):
    """Low-rank adaptation (Hu et al., ICLR 2022, arXiv:2106.09685): W x + (alpha / rank) B A x with W frozen.

    A starts Gaussian and B at zero, so that training starts from the model as it was. The server averages A and B each
    for itself, as FedIT does (arXiv:2305.05644): the mean of the products it is not.

    Attributes:
        rank: Of each product B A.
        alpha: Scale of the product, divided by the rank; null means the rank, so a scale of one.
        targets: Names of the linear layers that are adapted; ``*`` matches anything.
        train_fully: Names of modules whose own parameters train as well (a new head, say).
    """

    rank: Annotated[int, Field(ge=1, le=1024)] = 4
    alpha: Annotated[float, Field(gt=0)] | None = None
    targets: tuple[str, ...] = ("*",)
    train_fully: tuple[str, ...] = ()

    def attach(self, module: Module, seed: int) -> None:
        import torch

        from netfed.learning.lora import LoRALinear

        module.requires_grad_(False)
        _train(module, self.train_fully, "train_fully")
        linear = [
            (name, part)
            for name, part in module.named_modules()
            if isinstance(part, torch.nn.Linear)
            and not part.weight.requires_grad
            and any(fnmatchcase(name, pattern) for pattern in self.targets)
        ]
        if not linear:
            raise ScenarioError(
                f"adapter.targets: no linear layer of {type(module).__name__} matches {', '.join(self.targets)}"
            )
        generator = torch.Generator().manual_seed(seed)
        scale = 1.0 if self.alpha is None else self.alpha / self.rank
        for name, part in linear:
            parent, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(parent), attribute, LoRALinear(part, self.rank, scale, generator))


@dataclass(frozen=True)
class Head(Adapter, kind="head"):
    """The last linear layer alone trains (linear probing, as in Kumar et al., ICLR 2022, arXiv:2202.10054), or parts.

    Attributes:
        modules: Names of the modules that train instead; ``*`` matches anything.
    """

    modules: tuple[str, ...] = ()

    def attach(self, module: Module, seed: int) -> None:
        import torch

        module.requires_grad_(False)
        _train(module, self.modules, "modules")
        if not self.modules:
            linear = [part for part in module.modules() if isinstance(part, torch.nn.Linear)]
            if not linear:
                raise ScenarioError(
                    f"adapter: {type(module).__name__} has no linear layer for a head; name one in adapter.modules"
                )
            linear[-1].requires_grad_(True)


@dataclass(frozen=True)
class BiasOnly(Adapter, kind="bias-only"):
    """Biases alone train (BitFit: Ben Zaken et al., ACL 2022, arXiv:2106.10199). A layer's activations need not be kept
    for the gradient of its bias (TinyTL: Cai et al., NeurIPS 2020, arXiv:2007.11622).

    Attributes:
        norms: Train the scales of normalisation layers as well.
        train_fully: Names of modules whose own parameters train as well (a new head, say); ``*`` matches anything.
    """

    norms: bool = False
    train_fully: tuple[str, ...] = ()

    def attach(self, module: Module, seed: int) -> None:
        module.requires_grad_(False)
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name.endswith("bias"))
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise ScenarioError(f"adapter: {type(module).__name__} has no biases")
        if self.norms:
            from torch.nn import GroupNorm, LayerNorm, RMSNorm
            from torch.nn.modules.batchnorm import _NormBase

            for part in module.modules():
                if isinstance(part, _NormBase | GroupNorm | LayerNorm | RMSNorm):
                    part.requires_grad_(True)
        _train(module, self.train_fully, "train_fully")


def _train(module: Module, patterns: tuple[str, ...], key: str) -> None:
    """Let the parts that match train.

    Raises:
        ScenarioError: A pattern matches nothing.
    """
    for pattern in patterns:
        parts = [part for name, part in module.named_modules() if name and fnmatchcase(name, pattern)]
        if not parts:
            raise ScenarioError(f"adapter.{key}: no module is named {pattern!r}")
        for part in parts:
            part.requires_grad_(True)
