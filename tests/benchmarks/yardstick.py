"""How fast this machine is now: bars in seconds are those of a fast one, and a slow one is given as much longer as it
takes for a plain loop of PyTorch.
"""

from __future__ import annotations

import time

import torch
from torch import nn
from torch.nn import functional

STEP_S = 240e-6
"""A step of the loop on an idle AMD EPYC (Zen 4)."""


def slowness() -> float:
    """Return how many times longer than there the loop takes here; 1 at the least."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 62))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    inputs, labels = torch.rand(20, 64), torch.randint(62, (20,))
    took_s = []
    for _ in range(5):
        began_s = time.perf_counter()
        for _ in range(500):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        took_s.append((time.perf_counter() - began_s) / 500)
    torch.set_num_threads(threads)
    return max(1.0, sorted(took_s)[2] / STEP_S)
