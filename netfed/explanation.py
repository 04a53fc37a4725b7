"""Where the time of a run went, what bound its transfers, and which keys of its scenario it never felt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from netfed import document
from netfed.binding import SHARED, unfelt
from netfed.bounds import BOUNDS, Carried, carried
from netfed.chains import chains
from netfed.critical_path import Parts, Round, critical_paths, largest, total
from netfed.manifest import RESOLVED, SCENARIO, read_file
from netfed.notes import idle
from netfed.results import Results
from netfed.scenario import loads
from netfed.unmet import KINDS, Happened, unmet

_READ = (
    *("t_s", "kind", "device", "cell", "edge", "link", "start_s", "delivered"),
    *("cause", "airtime_s", "backhaul_s", "core_s", "latency_s"),
)
_ON_PATH = "transfer", "reception", "compute", "promotion", "lost"
"""Kinds of rows that the way of an update is made of."""


@dataclass(frozen=True)
class Explanation:
    """Of a run, as far as it has come.

    Attributes:
        rounds: With their critical paths.
        links: Transfers, by link.
        unfelt: Keys that made no difference, and why.
    """

    rounds: list[Round]
    links: dict[str, Carried]
    unfelt: dict[str, str]

    @cached_property
    def parts(self) -> Parts:
        """What the simulated time went to; they add up to it."""
        return total(this.parts for this in self.rounds)

    @property
    def bottleneck(self) -> str:
        """The largest part; empty if no time has passed."""
        return largest(self.parts)


def explain(results: Results) -> Explanation:
    """Return where the time of a run went.

    Raises:
        RunFolderError: A file of the run is missing or damaged.
        ScenarioError: Its scenario needs a plug-in that is not installed.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    everything = results.events(*{*_ON_PATH, *KINDS})
    everything = everything.select([name for name in _READ if name in everything.column_names])
    table = everything.filter(pc.is_in(everything["kind"], pa.array(_ON_PATH)))
    versions = map(int, results.numbers("version"))
    rounds = list(critical_paths(chains(table.to_pylist()), list(versions), results.numbers("t_s")))
    rows = {kind: everything.filter(pc.equal(everything["kind"], kind)).to_pylist() for kind in KINDS}
    happened = Happened(rows, max(results.numbers("t_s"), default=0.0), results.summary)
    transfers = table.filter(pc.equal(table["kind"], "transfer"))
    links = dict(carried(transfers))
    causes = set(table["cause"].to_pylist()) if "cause" in table.column_names else set()
    waited = {part for this in rounds for part in this.parts}
    for name, link in links.items():
        bounds = {bound for bound in BOUNDS if link.seconds[bound] or not link.divided}
        waited |= bounds | {f"{name} {bound}" for bound in bounds}
    felt = causes | waited | ({SHARED} if _is_shared(table, transfers) else set())
    return Explanation(rounds, links, _without_effect(results, felt, happened) if links else {})


def _is_shared(table: Any, transfers: Any) -> bool:
    """Return whether a transmission had several receivers."""
    import pyarrow.compute as pc

    receptions = pc.sum(pc.equal(table["kind"], "reception")).as_py() or 0
    if not receptions:
        return False
    downward = pc.and_(pc.is_null(transfers["device"]), pc.equal(transfers["link"], "downlink"))
    return bool(receptions > pc.sum(downward).as_py())


def _without_effect(results: Results, felt: set[str], happened: Happened) -> dict[str, str]:
    """Return the keys that this run has not felt, and those written ones that no run of such a scenario would feel."""
    written = document.read(read_file(results.path, SCENARIO, results.manifest.files[SCENARIO]), SCENARIO)
    name = str(results.path / RESOLVED)
    scenario = loads(results.scenario, name)
    return {
        **dict(unfelt(document.read(results.scenario, name), felt)),
        **dict(unmet(scenario, happened)),
        **{key: why for key, why in idle(scenario) if written.find(key.split(".")) is not None},
    }
