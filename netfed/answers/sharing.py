"""Rates and completion times of transfers that share cells and a backhaul."""

from __future__ import annotations

import math
from functools import partial

from netfed.vectors import Found, Inputs

_FASTER = 1e5


def max_min(inputs: Inputs) -> Found:
    """A route is a cell or, where all routes end in one link, a cell and that backhaul; else links that a cell, with a
    radio that is much faster, lies behind.
    """
    from simpy import Environment

    from netfed.network.flows import Meshed, Shared
    from netfed.network.medium import Medium

    capacity, routes = inputs["link_capacity"], inputs["routes"]
    behind = {tuple(route[1:]) for route in routes}
    env = Environment()
    medium: Medium
    if len(behind) == 1 and all(len(route) <= 2 for route in routes):
        (backhaul,) = behind
        medium = Shared(env, capacity[backhaul[0]] if backhaul else math.inf, len(capacity))
        places = [(route[0], capacity[route[0]]) for route in routes]
    else:
        medium = Meshed(env, capacity, routes)
        places = [(cell, _FASTER * max(capacity)) for cell in range(len(routes))]
    weights = inputs.get("weights", [1.0] * len(routes))
    limits = inputs.get("rate_cap", [math.inf] * len(routes))
    bits = 1_000_000 * math.ceil(max(capacity))
    flows = [
        medium.start(bits, radio_bps, cell, weight, limit)
        for (cell, radio_bps), weight, limit in zip(places, weights, limits, strict=True)
    ]
    env.run(until=1.0)
    return {"rates": [bits - medium.left_bits(flow) for flow in flows]}


def completions(inputs: Inputs) -> Found:
    """Cell i is under backhaul i mod the number of backhauls."""
    from simpy import Environment, Event

    from netfed.network.flows import Shared

    env = Environment(inputs["start_s"])
    cells, backhauls = inputs["cell_capacity_Bps"], inputs["backhaul_capacity_Bps"]
    media = [Shared(env, 8 * rate, len(cells)) for rate in backhauls]
    ends_s = [math.nan] * len(inputs["flows_cell_bytes"])

    def note(index: int, _: Event) -> None:
        ends_s[index] = env.now

    for index, (cell, size_bytes) in enumerate(inputs["flows_cell_bytes"]):
        flow = media[cell % len(media)].start(math.ceil(8 * size_bytes), 8 * cells[cell], cell)
        flow.finished.callbacks.append(partial(note, index))
    env.run()
    return {"completion_s": ends_s}
