"""Max-min fairness over links that routes share, by the vectors: textbooks, and SimGrid 3.32."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from simpy import Environment

from netfed.network.flows import Meshed, Shared

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "network.json").read_text())["vectors"]


def vectors(group: str) -> Any:
    found = [vector for vector in VECTORS if vector["group"] == group]
    return pytest.mark.parametrize("vector", found, ids=[vector["id"] for vector in found])


@vectors("maxmin")
def test_rates_of_a_graph(vector: dict[str, Any]) -> None:
    """Every route is a cell of its own, whose radio is much faster than its links."""
    inputs = vector["inputs"]
    routes = inputs["routes"]
    caps = inputs.get("rate_cap", [math.inf] * len(routes))
    weights = inputs.get("weights", [1.0] * len(routes))
    medium = Meshed(Environment(), inputs["link_capacity"], routes)
    flows = [
        medium.start(10**9, 1e6, cell, weight, limit)
        for cell, (weight, limit) in enumerate(zip(weights, caps, strict=True))
    ]
    rates = [medium.rate_bps(flow) for flow in flows]
    assert rates == pytest.approx(vector["expected"]["rates"], abs=vector["tolerance"]["value"])


@vectors("fluid-sg")
@pytest.mark.parametrize("mesh", [False, True])
def test_completion_times(vector: dict[str, Any], mesh: bool) -> None:
    """SimGrid shares rates where we share airtime, which is the same while the radios of a cell are equally fast."""
    inputs = vector["inputs"]
    env = Environment(inputs["start_s"])
    cells, backhauls = inputs["cell_capacity_Bps"], inputs["backhaul_capacity_Bps"]
    behind = [cell % len(backhauls) for cell in range(len(cells))]
    if mesh:
        media = [Meshed(env, [8 * rate for rate in backhauls], [[link] for link in behind])] * len(backhauls)
    else:
        media = [Shared(env, 8 * rate, len(cells)) for rate in backhauls]
    ends_s: dict[int, float] = {}
    for index, (cell, size_bytes) in enumerate(inputs["flows_cell_bytes"]):
        flow = media[behind[cell]].start(round(8 * size_bytes), 8 * cells[cell], cell)
        flow.finished.callbacks.append(lambda _, index=index: ends_s.setdefault(index, env.now))
    env.run()
    expected_s = vector["expected"]["completion_s"]
    assert [ends_s[index] for index in range(len(expected_s))] == pytest.approx(expected_s, rel=1e-8)


def test_a_long_route_and_a_short_one_over_each_of_its_links() -> None:
    """The parking lot (Bertsekas and Gallager, 1992, section 6.5.2), with links of different rates."""
    medium = Meshed(Environment(), [4.0, 2.0, 10.0], [[0, 1, 2], [0], [1], [2]])
    flows = [medium.start(10**9, 1e6, cell) for cell in range(4)]
    assert [medium.rate_bps(flow) for flow in flows] == pytest.approx([1.0, 3.0, 1.0, 9.0])
    medium.set_link(0.5, link=2)
    assert [medium.rate_bps(flow) for flow in flows] == pytest.approx([0.25, 3.75, 1.75, 0.25])
    medium.stop(flows[3])
    assert [medium.rate_bps(flow) for flow in flows] == pytest.approx([0.5, 3.5, 1.5, 0.0])
