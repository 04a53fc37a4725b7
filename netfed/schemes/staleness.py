"""How much an update counts that was trained from an old version.

The functions of Xie, Koyejo and Gupta, "Asynchronous federated optimization" (2019, arXiv:1903.03934).
Staleness counts the versions published since the client was sent its model: 0, and a factor of 1, if there was none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from netfed.plugin import Plugin


class Staleness(Plugin):
    """A factor between 0 and 1 for each staleness."""

    def factor(self, staleness: int) -> float:
        """Return how much an update of this staleness counts."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Staleness, kind="constant"):
    """Old and new count alike."""

    def factor(self, staleness: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class Polynomial(Staleness, kind="polynomial"):
    """(1 + staleness) to the power of minus the exponent (Xie et al. 2019, arXiv:1903.03934).

    Attributes:
        exponent: 0 discounts nothing; 1/2 is what FedBuff takes (Nguyen et al., AISTATS 2022, arXiv:2106.06639).
    """

    exponent: Annotated[float, Field(ge=0, le=10)] = 0.5

    def factor(self, staleness: int) -> float:
        """Return the power."""
        return float((1 + staleness) ** -self.exponent)


@dataclass(frozen=True)
class Hinge(Staleness, kind="hinge"):
    """1 up to a tolerance, and from there on 1 / (1 + slope x what is beyond it) (Xie et al. 2019, arXiv:1903.03934).

    Attributes:
        slope: a in the paper.
        tolerance: b in the paper.
    """

    slope: Annotated[float, Field(ge=0, le=1000)]
    tolerance: Annotated[int, Field(ge=0)]

    def factor(self, staleness: int) -> float:
        """Return the hinge."""
        return 1.0 / (1.0 + self.slope * max(0, staleness - self.tolerance))
