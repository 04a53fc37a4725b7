"""Retransmissions: what they take of the airtime, and what they leave lost.

A block that is lost is sent again, up to a number of times. Each transmission is taken to fail with the same
probability, and the failures to be independent: what the receiver gains by combining the copies (TS 38.212, clause
5.4.2) is not counted, as little as what it loses where the channel stays bad for longer than a retransmission takes.
"""

from __future__ import annotations

from netfed.network.link_adaptation.thresholds import BLER_TARGET


def mean_transmissions(limit: int, bler: float = BLER_TARGET) -> float:
    """Return how often a block is sent, in the mean: 1 + p + ... + p^(limit - 1).

    Args:
        limit: The most transmissions of a block, the first included.
        bler: Probability p that one is lost.
    """
    return sum(bler**before for before in range(limit))


def residual_loss(limit: int, bler: float = BLER_TARGET) -> float:
    """Return the probability that a block is lost for good: p^limit.

    In acknowledged mode RLC sends such a block again (TS 38.322, clause 5.3.2); at 10 % and four transmissions that is
    one in ten thousand. In unacknowledged mode it is gone.

    Args:
        limit: The most transmissions of a block, the first included.
        bler: Probability p that one is lost.
    """
    return bler**limit
