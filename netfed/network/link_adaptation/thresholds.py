"""The SINR at which a block still arrives nine times out of ten, by MCS table.

Derived from the BLER tables of Sionna SYS 2.2.0, Copyright (c) 2021-2026 NVIDIA CORPORATION & AFFILIATES, which are
licensed under the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0). What was changed: of each
table only one number is kept, the smallest SINR on a grid of 0.1 dB at which Sionna's interpolation gives a block error
rate of 10 % or less, for code blocks of 2000 bits and additive white Gaussian noise. The simulations behind it are 1.6
dB or more apart, so that a single threshold is good to 0.5 dB.
"""

from __future__ import annotations

BLER_TARGET = 0.1
"""What link adaptation aims at for the first transmission of a block: TS 38.214, clause 5.2.2.1."""

THRESHOLDS_DB = {
    "qam64": (
        3,
        """
        -2.84 -2.44 -1.04 0.46 0.76 2.36 2.46
        2.86 4.16 4.46 5.96 6.26 7.86 7.86
        8.76 9.76 10.06 11.56 12.26 13.36 14.26 14.96 16.56 17.06 18.36 18.96
        """,
    ),
    "qam256": (
        2,
        """
        -1.64 0.06 1.66
        3.66 4.76 6.06 6.36 7.86 8.06
        9.46 10.56 11.06 12.76 13.26 14.36 15.56 16.06 17.36
        18.56 18.86 19.76 20.86 22.16 22.96 23.86
        """,
    ),
    "qam64-low-se": (
        9,
        """
        -3.14 -1.64 -1.14 0.06 1.46 1.66
        3.16 3.76 4.76 6.06 6.36 7.96
        8.96 9.66 10.66 11.16 12.56 13.26 14.26 15.56
        """,
    ),
    "qam1024": (
        2,
        """
        0.06
        3.66 6.06 7.96
        9.46 10.56 11.06 12.56 13.26 14.26 15.56 16.06 17.46
        18.46 18.96 19.76 20.86 22.06 22.96 23.76
        """,
    ),
    "qam64-transform-precoded": (
        3,
        """
        -2.84 -2.44 -1.14 0.46 0.66 2.46 2.56
        2.86 4.26 4.46 6.06 6.36 7.86 8.06
        9.56 10.06 11.46 12.26 13.26 14.36 15.06 16.56 17.06 18.36 18.96
        """,
    ),
}
"""By table: the first MCS index with a threshold, then those of it and the following ones; a line for a modulation."""
