"""What bound the transfers of a run: their radio, their cell's airtime, the backhaul, the core, or latency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netfed.critical_path import BACKHAUL, CORE, LATENCY, RADIO, SHARE

if TYPE_CHECKING:
    import numpy as np

BOUNDS = (RADIO, SHARE, BACKHAUL, CORE, LATENCY)
_ROUNDING = 2.0**-20


@dataclass(frozen=True)
class Carried:
    """The transfers of one link.

    Attributes:
        count: How many there are.
        divided: Of how many it was recorded what their time went to.
        bound: How many of these spent most of it on each of radio, cell share, backhaul, core and latency.
        seconds: What these spent on each.
    """

    count: int
    divided: int
    bound: dict[str, int]
    seconds: dict[str, float]


def carried(table: Any) -> Iterator[tuple[str, Carried]]:
    """Yield the links of a run.

    Args:
        table: Events of kind transfer, a `pyarrow.Table`.
    """
    import numpy as np
    import pyarrow.compute as pc

    for link in sorted(pc.unique(table["link"]).to_pylist()) if len(table) else ():
        parts_s = _parts_s(table.filter(pc.equal(table["link"], link)), trunk=link.startswith("backhaul-"))
        divided_s = parts_s[~np.isnan(parts_s).any(axis=1)]
        spent_s = divided_s[divided_s.sum(axis=1) > 0]
        bound = np.bincount(spent_s.argmax(axis=1), minlength=len(BOUNDS))
        yield (
            link,
            Carried(
                len(parts_s),
                len(divided_s),
                dict(zip(BOUNDS, bound.tolist(), strict=True)),
                dict(zip(BOUNDS, divided_s.sum(axis=0).tolist(), strict=True)),
            ),
        )


def _parts_s(table: Any, trunk: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what each transfer spent its time on, NaN where nothing tells. [transfer, bound]"""
    import numpy as np

    def column(name: str, missing: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        if name not in table.column_names:
            return np.full(len(table), missing)
        return table[name].cast("float64").fill_null(missing).to_numpy()  # type: ignore[no-any-return]

    latency_s = column("latency_s", 0.0)
    flowing_s = column("t_s", np.nan) - column("start_s", np.nan) - latency_s
    held_s = flowing_s if trunk else column("backhaul_s", 0.0)
    airtime_s = np.zeros(len(table)) if trunk else column("airtime_s", np.nan)
    limited_s = np.zeros(len(table)) if trunk else column("core_s", 0.0)
    shared_s = flowing_s - held_s - limited_s - airtime_s
    shared_s[shared_s < _ROUNDING * flowing_s] = 0.0
    return np.stack([airtime_s, shared_s, held_s, limited_s, latency_s], axis=1)
