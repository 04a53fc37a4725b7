"""What devices compute with, and what that draws.

Sustained training throughput is what counts, not the peak of a datasheet. It is measured where a measurement exists
(`phone`, `iot-board`, `gateway`); else it is the datasheet's FP32 peak times 0.30. That share is an estimate: it is
what training Megatron-Turing NLG reached on A100 GPUs, of another peak (Chowdhery et al., "PaLM", arXiv:2204.02311,
table 3: 30.2 %).

A learner may take half of a device's memory, which is an estimate too: the system and its owner's programs have the
rest. Boards are sold with several sizes of it; the one taken here is named below.

A cellular modem adds the same power to every device: 1.96 W while receiving and 3.92 W while transmitting, which is
1.288 W + 52 mW per Mbit/s down, 438 mW per Mbit/s up, at the median rates of the same study, 13 and 6 Mbit/s (Huang et
al., "A close examination of performance and power characteristics of 4G LTE networks", MobiSys 2012). What it draws
while it waits is an estimate: it listens for its turn, at a third of receiving, as PDCCH-only is to PDCCH + PDSCH in
5G (3GPP TR 38.840, clause 8.1: 100 and 300 units).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

_MODEM_TRANSMIT_W = 1.288 + 0.438 * 6
_MODEM_RECEIVE_W = 1.288 + 0.052 * 13
_MODEM_WAIT_W = _MODEM_RECEIVE_W * 100 / 300
_SHARE_OF_PEAK = 0.30
_SHARE_OF_MEMORY = 0.5


class Cost(Protocol):
    """What a computation takes.

    Attributes:
        flops: Floating-point operations.
        bytes: Bytes moved to and from memory.
    """

    @property
    def flops(self) -> float: ...

    @property
    def bytes(self) -> float: ...


@dataclass(frozen=True)
class Profile:
    """A class of hardware.

    Attributes:
        flops_per_s: Sustained training throughput.
        bytes_per_s: Sustained memory bandwidth.
        compute_w: Power of the whole device while it trains.
        transmit_w: While its radio transmits.
        receive_w: While its radio receives.
        idle_w: While it does none of these but is on for the task, waiting for its share of airtime, say.
        memory_bytes: What a learner may take.
    """

    flops_per_s: float
    bytes_per_s: float
    compute_w: float
    transmit_w: float
    receive_w: float
    idle_w: float
    memory_bytes: float

    def duration_s(self, cost: Cost) -> float:
        """Return how long a computation takes."""
        return roofline_s(cost, self.flops_per_s, self.bytes_per_s)


def roofline_s(cost: Cost, flops_per_s: float, bytes_per_s: float) -> float:
    """Return how long a computation takes: arithmetic and memory traffic overlap, and the slower of the two decides.

    The roofline model (Williams, Waterman and Patterson, CACM 52(4), 2009).
    """
    return max(cost.flops / flops_per_s, cost.bytes / bytes_per_s)


def _with_modem(
    flops_per_s: float, bytes_per_s: float, compute_w: float, board_w: float, memory_bytes: float
) -> Profile:
    return Profile(
        flops_per_s=flops_per_s,
        bytes_per_s=bytes_per_s,
        compute_w=compute_w,
        transmit_w=board_w + _MODEM_TRANSMIT_W,
        receive_w=board_w + _MODEM_RECEIVE_W,
        idle_w=board_w + _MODEM_WAIT_W,
        memory_bytes=memory_bytes * _SHARE_OF_MEMORY,
    )


PROFILES = {
    "phone": _with_modem(flops_per_s=22.5e9, bytes_per_s=22.2e9, compute_w=3.7, board_w=0.0, memory_bytes=8e9),
    "iot-board": _with_modem(flops_per_s=16e9, bytes_per_s=5.56e9, compute_w=6.4, board_w=2.7, memory_bytes=4e9),
    "gateway": _with_modem(flops_per_s=60.5e9, bytes_per_s=7.41e9, compute_w=11.0, board_w=2.7, memory_bytes=8e9),
    "edge-box": _with_modem(
        flops_per_s=1.28e12 * _SHARE_OF_PEAK, bytes_per_s=68e9, compute_w=15.0, board_w=7.0, memory_bytes=8e9
    ),
    "vehicle": _with_modem(
        flops_per_s=5.3e12 * _SHARE_OF_PEAK, bytes_per_s=204.8e9, compute_w=60.0, board_w=15.0, memory_bytes=64e9
    ),
}
"""Profiles that ``devices.profile`` may name.

``phone``: a Snapdragon 8 series phone. Training kernels ran at 15 to 30 GFLOP/s on its CPU, and on its GPU training was
slower (Das et al., "Enabling on-device smartphone GPU based training: lessons learned", arXiv:2202.10100): the middle,
22.5. Memory and power are estimates: 64 bits of LPDDR5-6400 are 51.2 GB/s (JEDEC JESD209-5), of which the board below
sustains 0.434; 8 GB is a common size; and no citable measurement of its cores' power was found: it is taken as what the
four cores of that board add to its idle power, 3.7 W.

``iot-board``: a Raspberry Pi 4 with 4 GB and a modem. High-Performance Linpack ran at 8 GFLOP/s in double precision
(Feiereisen, "Benchmarking the Raspberry Pi 4 with Raspberry Pi OS64", 2022); single precision has twice the peak.
Memory: STREAM, 5.56 of 12.8 GB/s (sci-pi.org.uk, "Stream"). Power: 540 mA idle and 1280 mA with four cores busy, at 5 V
(Geerling, "Power Consumption Benchmarks", pidramble.com).

``gateway``: a Raspberry Pi 5 with 8 GB and a modem. High-Performance Linpack ran at 30.25 GFLOP/s in double precision,
at 11 W (Geerling, github.com/geerlingguy/top500-benchmark, issue 18); single precision has twice the peak. Memory and
idle power are estimates: 32 bits of LPDDR4X-4267 are 17.07 GB/s, of which the Raspberry Pi 4 sustains 0.434; and 2.7 W
are its idle power too.

``edge-box``: an NVIDIA Jetson Orin Nano 8 GB with a modem: 1024 CUDA cores at 625 MHz, two operations each, and 128
bits of LPDDR5, 68 GB/s (NVIDIA, "Jetson Orin Nano Series" data sheet). Its power modes are 7 W to 15 W: the lowest
while it does not compute, the highest while it does, is an estimate.

``vehicle``: an NVIDIA Jetson AGX Orin 64 GB with a modem: 5.3 TFLOP/s FP32, 204.8 GB/s, 15 W to 60 W (NVIDIA, "Jetson
AGX Orin Series Technical Brief"), the lowest and the highest as above.
"""

CLOUD = Profile(
    flops_per_s=19.5e12 * _SHARE_OF_PEAK,
    bytes_per_s=1555e9,
    compute_w=400.0,
    transmit_w=0.0,
    receive_w=0.0,
    idle_w=0.0,
    memory_bytes=40e9,
)
"""The server: an NVIDIA A100 40 GB SXM, 19.5 TFLOP/s FP32, 1555 GB/s, 400 W (NVIDIA, "A100 Tensor Core GPU" datasheet).

It is wired and shared with others, so only its computing is charged.
"""
