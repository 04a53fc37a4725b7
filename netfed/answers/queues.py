"""One cell, whose transfers arrive at random: how long they stay, in the mean."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from netfed.vectors import Found, Inputs

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from simpy import Event

    Floats = NDArray[float64]

_LINE_BPS = 1e9
_JOBS, _BATCHES = 60_000, 40


def processor_sharing(inputs: Inputs) -> Found:
    import numpy as np

    rho, mean_s = inputs["rho"], inputs["mean_service_s"]
    drawn = _drawn("size")
    if inputs["size_law"] == "deterministic":
        sizes, mean_square = np.ones(_JOBS), 1.0
    elif inputs["size_law"] == "exponential":
        sizes, mean_square = -np.log(drawn), 2.0
    elif inputs["size_law"] == "hyperexponential cv2=2":  # two exponential phases, each with half of the work
        rare = (1 - math.sqrt(1 / 3)) / 2
        sizes, mean_square = -np.log(drawn) / (2 * np.where(_drawn("phase") < rare, rare, 1 - rare)), 3.0
    else:
        return None
    (sojourn_s,) = _sojourns_s(rho / mean_s, rho, mean_s * sizes, mean_s * mean_s * mean_square)
    return {
        "mean_sojourn_s": sojourn_s,
        "mean_in_system": rho / mean_s * sojourn_s,  # Little
        "slowdown": sojourn_s / mean_s,
    }


def discriminatory_sharing(inputs: Inputs) -> Found:
    import numpy as np

    rates, means_s, weights = (
        np.array([inputs[f"{name}1"], inputs[f"{name}2"]], float) for name in ("lambda", "mu", "weight")
    )
    means_s = 1 / means_s
    second = np.where(_drawn("class") * rates.sum() < rates[0], 0, 1)
    sizes_s = -np.log(_drawn("size")) * means_s[second]
    mean_square_s2 = float(rates @ (2 * means_s * means_s) / rates.sum())
    sojourns_s = _sojourns_s(
        float(rates.sum()), float(rates @ means_s), sizes_s, mean_square_s2, weights.tolist(), second
    )
    return {"mean_sojourn_s": sojourns_s}


def _drawn(name: str) -> Floats:
    import numpy as np

    from netfed.streams import Streams

    return Streams(seed=1).uniform(name, np.arange(_JOBS))


def _sojourns_s(
    rate_per_s: float,
    load: float,
    sizes_s: Floats,
    mean_square_s2: float,
    weights: Sequence[float] = (1.0,),
    kinds: Any = None,
) -> list[float]:
    """Return how long transfers are in a cell, in the mean, by kind.

    Means over a finite time are off by as much as transfers were larger, and the cell busier, than usual. That much is
    known: what is left to do when a transfer comes does not depend on how the airtime is shared, and its mean is that
    of Pollaczek and Khinchine. The means are corrected by their regression on it, and on sizes and their squares, batch
    by batch (control variates: Lavenberg and Welch, Management Science 27, 1981).

    Args:
        rate_per_s: Of arrivals, a Poisson process.
        load: Share of the time in which the cell is busy.
        sizes_s: What each transfer takes alone. [job]
        mean_square_s2: Of what it takes.
        weights: [kind]
        kinds: Which it is; None: all are of one kind. [job]
    """
    import numpy as np

    kinds = np.zeros(_JOBS, int) if kinds is None else kinds
    gaps_s = -np.log(_drawn("gap")) / rate_per_s
    sojourn_s = _played_s(np.cumsum(gaps_s), sizes_s, np.asarray(weights, float)[kinds])
    walk_s = np.concatenate([[0.0], np.cumsum(sizes_s[:-1] - gaps_s[1:])])
    left_s = walk_s - np.minimum.accumulate(walk_s)
    busier_s = left_s - rate_per_s * mean_square_s2 / (2 * (1 - load))
    larger_s, squarer_s2 = sizes_s - load / rate_per_s, sizes_s * sizes_s - mean_square_s2
    batch = np.arange(_JOBS) * _BATCHES // _JOBS
    sums = [np.bincount(batch, each) for each in (np.ones(_JOBS), busier_s, larger_s, squarer_s2)]
    known = np.stack(sums, axis=1) * _BATCHES / _JOBS
    means_s = []
    for kind in range(len(weights)):
        here = kinds == kind
        batched_s = np.bincount(batch[here], sojourn_s[here]) / np.bincount(batch[here])
        means_s.append(np.linalg.lstsq(known, batched_s, rcond=None)[0][0].item())
    return means_s


def _played_s(arrivals_s: Floats, sizes_s: Floats, weights: Floats) -> Floats:
    """Return how long each transfer takes in one cell. [job]"""
    import numpy as np
    from simpy import Environment

    from netfed.network.flows import Shared

    env = Environment()
    cell = Shared(env, math.inf)
    ends_s = np.empty(len(arrivals_s))

    def arrive() -> Generator[Event, Any, None]:
        for job, at_s in enumerate(arrivals_s.tolist()):
            yield env.timeout(at_s - env.now)
            flow = cell.start(math.ceil(sizes_s[job] * _LINE_BPS), _LINE_BPS, weight=weights.item(job))
            flow.finished.callbacks.append(partial(note, job))

    def note(job: int, _: Event) -> None:
        ends_s[job] = env.now

    env.process(arrive())
    env.run()
    return ends_s - arrivals_s
