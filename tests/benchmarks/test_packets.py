"""Transfer times beside those of ns.py, which moves every packet, and the CPU time of both; the table is printed.

Devices under three cells send at random to the cloud, over a backhaul link that the cells share. In ns.py each link
serves its devices by deficit round robin, and each transfer has a window of packets under way: with small packets this
gives max-min fair rates, as the fluid has them where radio rates are equal (Hahne, Round-robin scheduling for max-min
fairness in data networks, IEEE Journal on Selected Areas in Communications 9(7), 1991).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pytest
from simpy import Environment, Event

from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.spec import Devices, Fluid, LinkClass
from netfed.network.topology import BASE_STATION, CLOUD, ROUTER, Topology
from netfed.recorder import Recorder
from netfed.streams import Streams

why = "ns.py is not installed: pip install '.[packets]'"
Packet = pytest.importorskip("ns.packet.packet", reason=why).Packet
FlowDemux = pytest.importorskip("ns.demux.flow_demux", reason=why).FlowDemux
DRRServer = pytest.importorskip("ns.scheduler.drr", reason=why).DRRServer

CELLS, DEVICES, START_WITHIN_S, CELL_BPS = 3, 30, 3.0, 100e6
BACKHAUL_BPS = {"cells": 1e9, "backhaul": 150e6}
"""By what binds."""
PACKET_BYTES, WINDOW = 1500, 16
REPEATS, TOLERANCE = 5, 0.02

STREAMS = Streams(seed=1)
START_S = (START_WITHIN_S * STREAMS.uniform("start", np.arange(DEVICES))).tolist()
PACKETS = (700 + 2000 * STREAMS.uniform("size", np.arange(DEVICES))).astype(int).tolist()
"""From 1 to 4 MB."""


@dataclass(frozen=True)
class Payload:
    bits: int


@dataclass(frozen=True)
class Tree(Topology):
    """Base stations behind one router."""

    spacing: float = 500.0

    def graph(self) -> nx.Graph:
        graph = nx.Graph()
        graph.add_node(CLOUD, role=CLOUD)
        graph.add_node(ROUTER, role=ROUTER)
        graph.add_edge(CLOUD, ROUTER)
        for cell in range(CELLS):
            graph.add_node(cell, role=BASE_STATION, position_m=(cell * self.spacing, 0.0))
            graph.add_edge(ROUTER, cell)
        return graph


class Upload:
    """A transfer as packets, a window of them under way: the next one is sent when one has arrived."""

    def __init__(self, env: Environment, device: int, cell: Any) -> None:
        self.took_s = 0.0
        self._env = env
        self._device = device
        self._cell = cell
        self._left = self._missing = PACKETS[device]
        env.timeout(START_S[device]).callbacks.append(lambda _: self._send(WINDOW))

    def put(self, packet: Any) -> None:
        """Take a packet that has arrived."""
        self._missing -= 1
        if self._missing == 0:
            self.took_s = self._env.now - START_S[self._device]
        self._send(1)

    def _send(self, packets: int) -> None:
        for _ in range(min(packets, self._left)):
            self._left -= 1
            self._cell.put(Packet(self._env.now, PACKET_BYTES, self._left, flow_id=self._device))


def as_packets(network: Network, backhaul_bps: float) -> tuple[list[float], float]:
    """Return how long each transfer takes in ns.py, and the CPU time of the simulation."""
    env = Environment()
    backhaul = DRRServer(env, backhaul_bps, [1] * DEVICES)
    cells = [DRRServer(env, CELL_BPS, [1] * DEVICES) for _ in range(CELLS)]
    for cell in cells:
        cell.out = backhaul
    base_stations = network.population.base_station.tolist()
    uploads = [Upload(env, device, cells[base_station]) for device, base_station in enumerate(base_stations)]
    backhaul.out = FlowDemux(uploads)
    began_s = time.process_time()
    env.run()
    return [upload.took_s for upload in uploads], time.process_time() - began_s


def as_flows(network: Network) -> tuple[list[float], float]:
    """Return how long each transfer takes in netfed, and the CPU time of the simulation."""
    took_s = [0.0] * DEVICES

    def upload(device: int) -> Generator[Event, Any, None]:
        yield network.env.timeout(START_S[device])
        link = network.uplink(Device(network.population, device, 0))
        yield from link.send(Payload(PACKETS[device] * PACKET_BYTES * 8))
        took_s[device] = network.env.now - START_S[device]

    for device in range(DEVICES):
        network.env.process(upload(device))
    began_s = time.process_time()
    network.env.run()
    return took_s, time.process_time() - began_s


def build(backhaul_bps: float) -> Network:
    env = Environment()
    air = LinkClass(rate=CELL_BPS)
    kind = Fluid(uplink=air, downlink=air, backhaul=LinkClass(rate=backhaul_bps))
    return Network(env, kind, Tree(), Devices(DEVICES), STREAMS, Recorder(lambda: env.now))


@pytest.mark.benchmark
@pytest.mark.parametrize("binding", BACKHAUL_BPS)
def test_flows_take_as_long_as_packets(binding: str) -> None:
    backhaul_bps = BACKHAUL_BPS[binding]
    packets_s, packets_cpu_s = as_packets(build(backhaul_bps), backhaul_bps)
    runs = [as_flows(build(backhaul_bps)) for _ in range(REPEATS)]
    flows_s, flows_cpu_s = runs[0][0], statistics.median(cpu_s for _, cpu_s in runs)
    packets_mean_s, flows_mean_s = statistics.mean(packets_s), statistics.mean(flows_s)
    print(
        f"\n{binding} bind, {DEVICES} transfers of {statistics.mean(PACKETS) * PACKET_BYTES / 1e6:.1f} MB in the mean: "
        f"{flows_mean_s:.4f} s as flows, {packets_mean_s:.4f} s as packets ({flows_mean_s / packets_mean_s - 1:+.2%}); "
        f"CPU {1e3 * flows_cpu_s / DEVICES:.3f} ms a transfer, {1e3 * packets_cpu_s / DEVICES:.1f} ms as packets "
        f"(x {packets_cpu_s / flows_cpu_s:.0f})"
    )
    assert flows_mean_s == pytest.approx(packets_mean_s, rel=TOLERANCE)
