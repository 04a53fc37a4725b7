"""Retransmissions: what they take of the airtime.

HARQ sends a block that is lost again, up to a number of times (TS 38.321, clauses 5.3.2.2 and 5.4.2.2). What is lost
for good then RLC sends again, as a block of its own, until it is there: in acknowledged mode (TS 38.322, clause 5.3.2),
which is taken to give up never. Each transmission is taken to fail with the same probability p, and the failures to be
independent: what the receiver gains by combining the copies (TS 38.212, clause 5.4.2) is not counted, as little as what
it loses where the channel stays bad for longer than a retransmission takes. So a block takes 1 / (1 - p) transmissions,
however many of them are HARQ's: a limit divides them between the two.
"""

from __future__ import annotations

from netfed.network.link_adaptation.thresholds import BLER_TARGET


def mean_transmissions(limit: int, bler: float = BLER_TARGET) -> float:
    """Return how often HARQ sends a block, in the mean: 1 + p + ... + p^(limit - 1).

    Args:
        limit: The most transmissions of a block, the first included.
        bler: Probability p that one is lost.
    """
    return sum(bler**before for before in range(limit))


def residual_loss(limit: int, bler: float = BLER_TARGET) -> float:
    """Return the probability that HARQ loses a block for good: p^limit; 10 %, four times, is one in ten thousand.

    Args:
        limit: The most transmissions of a block, the first included.
        bler: Probability p that one is lost.
    """
    return bler**limit


def mean_submissions(limit: int, bler: float = BLER_TARGET) -> float:
    """Return how often RLC hands HARQ a block in acknowledged mode, in the mean: 1 / (1 - p^limit).

    Args:
        limit: The most transmissions of a block by HARQ, the first included.
        bler: Probability p that one is lost.
    """
    return 1 / (1 - residual_loss(limit, bler))
