"""What a scheduler makes of many users: the gain that all flows of a cell share.

Round robin gives each of n users one n-th of the airtime at their mean channel. Proportional fair sends to the user
whose channel is best relative to its own mean. If all fade alike, each still gets one n-th of the airtime, but at its
best moments, and all gain the same factor G(n), which depends on n alone: the cell is a processor-sharing server whose
speed depends on the number of its users (Borst, "User-level performance of channel-aware scheduling algorithms in
wireless data networks", IEEE/ACM Transactions on Networking 13(3), 2005). So weights and fairness stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import ArrayLike, NDArray

Scheduler = Literal["round-robin", "proportional-fair"]

_POINTS = 2048
_STRONGEST = 60.0  # A channel is so many times its mean once in 1e26 times.


def scheduling_gain(scheduler: Scheduler, users: ArrayLike, sinr: ArrayLike) -> NDArray[float64]:
    """Return what a cell's airtime is worth, relative to round robin.

    For ``proportional-fair``, G(n) = E[log2(1 + sinr max(X_1..X_n))] / E[log2(1 + sinr X_1)], X being exponential of
    mean 1: Rayleigh fading, independent among users. It rises as the harmonic number 1 + 1/2 + ... + 1/n at low SINR,
    and more slowly the higher the SINR. It is an upper bound: it takes the scheduler to know each channel, fading to
    be fast against a transfer, and no line of sight, antenna diversity or wide band to have averaged it out already.
    It knows of no fastest MCS either: `RateLadder.scheduled_bps` does.

    Args:
        scheduler: ``round-robin`` or ``proportional-fair``.
        users: How many have something to send; 0 counts as 1. [...]
        sinr: Mean SINR that stands for the cell's users, linear, more than 0. [...]

    Returns:
        The factor by which each user's rate exceeds its share of the airtime at the mean channel. [...]
    """
    import numpy as np

    count = np.asarray(np.maximum(np.asarray(users, np.float64), 1.0))
    gain = np.ones_like(count)
    if scheduler == "round-robin":
        return gain
    gains = count > 1
    mean_sinr = np.broadcast_to(np.asarray(sinr, np.float64), count.shape)[gains][:, np.newaxis]
    log = np.log1p(mean_sinr * _STRONGEST) * np.linspace(0.0, 1.0, _POINTS)
    below = -np.expm1(-np.expm1(log) / mean_sinr)

    def mean_log(users: NDArray[float64] | float) -> NDArray[float64]:
        """Return the mean of ln(1 + sinr max(X_1..X_n)) by the trapezoidal rule, in steps of ``log``."""
        exceeds = 1.0 - below**users
        mean: NDArray[float64] = (exceeds[:, :-1] + exceeds[:, 1:]).sum(axis=-1) / 2
        return mean

    gain[gains] = mean_log(count[gains][:, np.newaxis]) / mean_log(1.0)
    return gain
