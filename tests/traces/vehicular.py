"""Writes ``scenarios/traces/vehicular.fcd.xml``: 20 invented vehicles for 120 s, in the form of SUMO's FCD export.

They drive on a grid of streets, 250 m apart, in a square of 1 km; enter in the first 20 s; go at 40 to 60 km/h at the
most; gain and lose 2 m/s each second; and at each crossing go straight on, or slow down to 5 m/s and turn, one half
each. No real traffic was recorded, and no other simulator ran. From the repository's root:

    python -m tests.traces.vehicular
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

FILE = Path(__file__).parents[2] / "scenarios" / "traces" / "vehicular.fcd.xml"
VEHICLES, DURATION_S, SIDE_M, BLOCK_M = 20, 120, 1000, 250
TURN_M_PER_S, GAIN_M_PER_S2 = 5.0, 2.0


def vehicle(draw: Random) -> Iterator[tuple[float, float, float]]:
    """Yield x, y and speed once a second."""
    place = complex(BLOCK_M * int(5 * draw.random()), BLOCK_M * int(5 * draw.random()))
    heading, fastest, speed = 1j ** int(4 * draw.random()), 11.1 + 5.6 * draw.random(), 8.0
    to_go_m, turn = 0.0, 1 + 0j
    while True:
        if to_go_m <= 0:
            heading = next(h for h in (heading * turn, heading * 1j, heading * -1j, -heading) if inside(place, h))
            turn = 1 + 0j if draw.random() < 0.5 else (1j if draw.random() < 0.5 else -1j)
            ahead = place + heading * BLOCK_M
            if not inside(ahead, heading * turn):
                turn = next(t for t in (1j, -1j) if inside(ahead, heading * t))
            to_go_m += BLOCK_M
        at = place + heading * (BLOCK_M - to_go_m)
        yield at.real, at.imag, speed
        allowed = math.inf if turn == 1 else math.sqrt(TURN_M_PER_S**2 + 2 * GAIN_M_PER_S2 * to_go_m)
        speed = max(TURN_M_PER_S, min(speed + GAIN_M_PER_S2, fastest, allowed))
        to_go_m -= speed
        if to_go_m <= 0:
            place = place + heading * BLOCK_M


def inside(place: complex, heading: complex) -> bool:
    """Tell whether a street leads on from a crossing."""
    on = place + heading * BLOCK_M
    return -1 <= on.real <= SIDE_M + 1 and -1 <= on.imag <= SIDE_M + 1


def export() -> str:
    """Return the file."""
    draws = [Random(seed) for seed in range(VEHICLES)]
    enters_s = [int(20 * draw.random()) for draw in draws]
    drives = [vehicle(draw) for draw in draws]
    lines = ["<!-- Invented: written by tests/traces/vehicular.py. -->", "<fcd-export>"]
    for time_s in range(DURATION_S + 1):
        lines.append(f'<timestep time="{time_s}.00">')
        for number, drive in enumerate(drives):
            if enters_s[number] <= time_s:
                x_m, y_m, speed = next(drive)
                lines.append(f'<vehicle id="v{number}" x="{x_m:.1f}" y="{y_m:.1f}" speed="{speed:.1f}"/>')
        lines.append("</timestep>")
    return "\n".join([*lines, "</fcd-export>", ""])


if __name__ == "__main__":
    FILE.write_text(export())
