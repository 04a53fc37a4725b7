"""netfed: federated learning and the mobile network that carries it, simulated on one clock."""

import os

__version__ = "0.1.0"

os.environ.setdefault("MKL_CBWR", "AUTO")
"""Matrix products then give the same bits wherever in memory their operands lie: Intel oneMKL's Conditional Numerical
Reproducibility, read when the library is first used."""
