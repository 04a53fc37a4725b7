"""Modulation and coding schemes, and the SINR that each needs.

TS 38.214, by the names of RRC (TS 38.331): ``qam64`` is Table 5.1.3.1-1, ``qam256`` 5.1.3.1-2, ``qam64-low-se``
5.1.3.1-3, ``qam1024`` 5.1.3.1-4; ``qam64-transform-precoded`` is Table 6.1.4.1-1, for uplinks that transmit DFT-s-OFDM.
Uplinks without transform precoding use the tables of the downlink (clause 6.1.4.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, get_args

from netfed.network.link_adaptation.thresholds import THRESHOLDS_DB

McsTable = Literal["qam64", "qam256", "qam64-low-se", "qam1024", "qam64-transform-precoded"]


@dataclass(frozen=True)
class Mcs:
    """A modulation and coding scheme.

    Attributes:
        index: In its table.
        modulation_order: Coded bits of a resource element.
        code_rate: Information bits of a coded bit.
        sinr_db: From which on it loses no more than a tenth of its blocks.
    """

    index: int
    modulation_order: int
    code_rate: float
    sinr_db: float

    @property
    def efficiency(self) -> float:
        """Information bits of a resource element."""
        return self.modulation_order * self.code_rate


# Code rates times 1024, by modulation order. Table 6.1.4.1-1 begins with pi/2-BPSK where that is configured; it is not.
_CODE_RATES: dict[McsTable, str] = {
    "qam64": """
        2: 120 157 193 251 308 379 449 526 602 679
        4: 340 378 434 490 553 616 658
        6: 438 466 517 567 616 666 719 772 822 873 910 948
    """,
    "qam256": """
        2: 120 193 308 449 602
        4: 378 434 490 553 616 658
        6: 466 517 567 616 666 719 772 822 873
        8: 682.5 711 754 797 841 885 916.5 948
    """,
    "qam64-low-se": """
        2: 30 40 50 64 78 99 120 157 193 251 308 379 449 526 602
        4: 340 378 434 490 553 616
        6: 438 466 517 567 616 666 719 772
    """,
    "qam1024": """
        2: 120 193 449
        4: 378 490 616
        6: 466 517 567 616 666 719 772 822 873
        8: 682.5 711 754 797 841 885 916.5 948
        10: 805.5 853 900.5 948
    """,
    "qam64-transform-precoded": """
        2: 120 157 193 251 308 379 449 526 602 679
        4: 340 378 434 490 553 616 658
        6: 466 517 567 616 666 719 772 822 873 910 948
    """,
}


def shannon_sinr_db(efficiency: float) -> float:
    """Return the SINR below which nothing carries so many bits per second and hertz."""
    return 10 * math.log10(2**efficiency - 1)


def _schemes(name: McsTable) -> Iterator[tuple[int, float]]:
    """Yield modulation order and code rate, by MCS index."""
    for line in _CODE_RATES[name].strip().splitlines():
        order, _, rates = line.partition(":")
        for rate in rates.split():
            yield int(order), float(rate) / 1024


def _table(name: McsTable) -> tuple[Mcs, ...]:
    """Build a table.

    A scheme without a threshold of its own stays as far above Shannon's bound as, in the mean, those of the nearest
    modulation order in its table that have one.
    """
    schemes = list(_schemes(name))
    first, written = THRESHOLDS_DB[name]
    known = dict(enumerate(map(float, written.split()), first))
    gaps: dict[int, list[float]] = {}
    for index, sinr_db in known.items():
        order, rate = schemes[index]
        gaps.setdefault(order, []).append(sinr_db - shannon_sinr_db(order * rate))

    def threshold_db(index: int, order: int, rate: float) -> float:
        nearest = min(gaps, key=lambda other: abs(other - order))
        return known.get(index, shannon_sinr_db(order * rate) + fmean(gaps[nearest]))

    return tuple(Mcs(index, *scheme, threshold_db(index, *scheme)) for index, scheme in enumerate(schemes))


MCS_TABLES: dict[McsTable, tuple[Mcs, ...]] = {name: _table(name) for name in get_args(McsTable)}
"""By name; each by MCS index. Reserved indices, which are for retransmissions, are left out."""
