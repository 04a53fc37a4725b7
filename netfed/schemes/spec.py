"""The protocol: who trains, and when the server aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netfed.plugin import Plugin

if TYPE_CHECKING:
    from collections.abc import Generator

    from netfed.simulation import Simulation


class Scheme(Plugin):
    """Owns its loop and reads whole, in one file. Steps that several schemes take are functions in `steps`."""

    def run(self, sim: Simulation) -> Generator[Any, Any, None]:
        """Drive clients and advance the global model until the last version; a SimPy process."""
        raise NotImplementedError

    @property
    def clients(self) -> int:
        """How many devices it needs at once: no more are at work at once whose updates arrive."""
        raise NotImplementedError

    @property
    def versions(self) -> int:
        """How many aggregations a run makes."""
        raise NotImplementedError

    @property
    def participations(self) -> int:
        """How many updates a run aggregates at the most: the compute that its reference lines are given too."""
        raise NotImplementedError

    @property
    def together(self) -> int:
        """Clients that usually train from the same version: as many as an aggregation sets free, and no more than there
        are. It decides no more than how they are computed.
        """
        return min(self.clients, self.participations // self.versions)
