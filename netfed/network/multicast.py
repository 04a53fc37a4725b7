"""Sending one payload to many devices at once: a cell transmits it once, at the rate of its worst receiver.

However many listen, it takes the airtime of one transfer: point-to-multipoint delivery of a multicast session (3GPP TS
23.247; TS 38.300, clause 16.10), with the modulation and coding that the worst receiver needs.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from simpy import Event

from netfed.errors import ParticipationLost, TransferLost

if TYPE_CHECKING:
    from netfed.network.link import Payload
    from netfed.network.medium import Flow
    from netfed.network.network import Network
    from netfed.network.population import Device
    from netfed.network.span import Way


class Listener:
    """A device that receives a payload together with others.

    Args:
        multicast: What it listens to.
        device: Who it is.
        bits: After how many of the payload's it will hear no more.
        loss: Why, if these are not all.

    Attributes:
        multicast: See above; likewise ``device``, ``bits`` and ``loss``.
        over: Succeeds with the number of bits that it has heard once these are all, or all that it will hear here;
            fails with `TransferLost` if the connection breaks.
    """

    __slots__ = ("bits", "device", "loss", "multicast", "over")

    def __init__(self, multicast: Multicast, device: Device, bits: int, loss: ParticipationLost | None) -> None:
        self.multicast = multicast
        self.device = device
        self.bits = bits
        self.loss = loss
        self.over = Event(multicast.env)


class Multicast:
    """One transmission of one cell, at the rate of the worst of those who listen.

    It is a row of flows: a device that is bound to miss the rest leaves between two of them, at the moment at which the
    last bit that it hears has left. Who receives is known, for devices join and leave a multicast session (TS 23.247,
    clause 7.2; only of a broadcast session nobody knows), and links notice at once that a connection has broken. So
    when a device leaves, the transmission goes on at the rate of the worst of the others; when nobody is left, it ends
    there (TS 38.300, clause 16.10.5.3: resources of sessions without a joined device are released). What was sent is
    lost if nobody has got it whole, unless a device gets the rest in another way.

    Args:
        network: What it is a part of.
        way: The downlink of the base station.
        sector: Which of its cells transmits.
        bits: Of the payload.

    Attributes:
        env: The clock.
        way: See above; likewise ``sector``.
    """

    def __init__(self, network: Network, way: Way, sector: int, bits: int) -> None:
        self.env = network.env
        self.way = way
        self.sector = sector
        self._network = network
        self._bits = bits
        self._start_s = network.env.now
        self._listeners: dict[int, Listener] = {}  # by device
        self._joined = 0
        self._rates: list[tuple[float, int]] = []  # a heap: of those who listen, and of some who do no longer
        self._ends: list[tuple[int, int]] = []  # likewise: the bits after which they will not
        self._flows: list[Flow] = []  # the last one is under way
        self._earlier_bits = 0  # by those that have ended
        self._earlier_s = 0.0
        self._held_s = self._limited_s = 0.0
        self._in_use = False  # somebody has got the payload, or goes on with what was sent

    @property
    def is_open(self) -> bool:
        """Whether somebody listens, and no bit has left yet."""
        return bool(self._listeners) and self.sent_bits == 0

    @property
    def sent_bits(self) -> int:
        """How many bits have left: whole ones."""
        return self._earlier_bits + (self._flows[-1].sent_bits if self._listeners else 0)

    @property
    def airtime_s(self) -> float:
        """How long its cell's airtime, all of it, would have taken to send what has left."""
        return self._earlier_s + (self._flows[-1].airtime_s if self._listeners else 0.0)

    @property
    def held_s(self) -> tuple[float, float]:
        """The airtime that it could not use because it was held: by the backhaul, and by its limit."""
        held_s, limited_s = self.way.medium.held_s(self._flows[-1]) if self._listeners else (0.0, 0.0)
        return self._held_s + max(0.0, held_s - limited_s), self._limited_s + max(0.0, limited_s)

    def join(self, listener: Listener) -> None:
        """Let a device listen too, before the first bit has left."""
        device_id = listener.device.id
        self._listeners[device_id] = listener
        self._joined += 1
        heappush(self._rates, (listener.device.rate_down_bps, device_id))
        heappush(self._ends, (listener.bits, device_id))
        if not self._flows:
            self._go_on()
        elif listener.bits < self._flows[-1].bits:
            self._break()
            self._go_on()
        else:
            self._tune()

    def leave(self, listener: Listener, cause: str) -> None:
        """Let a device go that does not want the rest, if it still listens."""
        if self._listeners.get(listener.device.id) is listener:
            self._forget(listener, cause)

    def release(self, listener: Listener) -> None:
        """Let a device go that gets the rest in another way, unless all its bits have left."""
        if (heard_bits := self.sent_bits) < listener.bits:
            self._in_use = True
            listener.over.succeed(heard_bits)
            self._forget(listener, "")

    def lose(self, listener: Listener, cause: str) -> None:
        """Break the connection of a device, unless all its bits have left."""
        if self.sent_bits < listener.bits:
            listener.over.fail(TransferLost(cause))
            listener.over.defused = True
            self._forget(listener, cause)

    def adapt(self) -> None:
        """Go on at the rate of the worst of those who listen, as their radios are now.

        Who is reached by no modulation and coding scheme does not hold up the others: it gets the rest by itself (a
        base station decides for each device whether it is sent to point to multipoint or point to point: TS 38.300,
        clause 16.10.5.4).
        """
        for listener in list(self._listeners.values()):
            if listener.device.rate_down_bps == 0:
                self.release(listener)
        self._rates = [(listener.device.rate_down_bps, device_id) for device_id, listener in self._listeners.items()]
        heapify(self._rates)
        if self._listeners:
            self._tune()

    def _forget(self, listener: Listener, cause: str) -> None:
        self._drop(listener)
        if self._listeners:
            self._tune()
        else:
            self._break()
            self._settle(cause)

    def _drop(self, listener: Listener) -> None:
        del self._listeners[listener.device.id]
        del self._network.multicasts.listeners[listener.device.id]

    def _worst_bps(self) -> float:
        while self._rates[0][1] not in self._listeners:
            heappop(self._rates)
        return self._rates[0][0]

    def _tune(self) -> None:
        self.way.medium.retune(self._flows[-1], self._worst_bps())

    def _go_on(self) -> None:
        """Send the bits up to those after which somebody will not listen any more."""
        while self._ends[0][1] not in self._listeners:
            heappop(self._ends)
        way, bits = self.way, self._ends[0][0] - self._earlier_bits
        flow = way.medium.start(bits, self._worst_bps(), way.cells[self.sector], limit_bps=way.limit_bps)
        way.traffic.begin(way.direction, way.base_station, flow)
        self._flows.append(flow)
        flow.finished.callbacks.append(self._flow_ends)

    def _break(self) -> None:
        """End the flow that is under way, and count it."""
        flow = self._flows[-1]
        self.way.medium.stop(flow)
        self._earlier_bits += flow.sent_bits
        self._earlier_s += flow.airtime_s
        self._held_s += max(0.0, flow.held_s - flow.limited_s)
        self._limited_s += max(0.0, flow.limited_s)

    def _flow_ends(self, _: Event) -> None:
        if not self._listeners:  # the last of them has left at this very instant
            return
        self._break()
        cause = ""
        while self._ends and self._ends[0][0] <= self._earlier_bits:
            device_id = heappop(self._ends)[1]
            if (listener := self._listeners.get(device_id)) is not None:
                self._drop(listener)
                self._in_use |= listener.loss is None
                cause = listener.loss.cause if listener.loss else cause
                listener.over.succeed(self._earlier_bits)
        if self._listeners:
            self._go_on()
        else:
            self._settle(cause)

    def _settle(self, cause: str) -> None:
        way, delivered = self.way, self._in_use
        sent = (way.traffic.end(way.direction, way.base_station, flow, delivered) for flow in self._flows)
        self._network.recorder.row(
            "transfer",
            cell=way.base_station,
            link=way.direction,
            start_s=self._start_s,
            bits=sum(sent),
            payload_bits=self._bits,
            delivered=delivered,
            cause=None if delivered else cause,
            airtime_s=self._earlier_s,
            backhaul_s=self._held_s,
            core_s=self._limited_s,
            receivers=self._joined,
        )


class Multicasts:
    """The transmissions of a network that devices may share.

    Those of a cell's devices share one that begin to receive the same content at the same moment.

    Args:
        network: What they are a part of.

    Attributes:
        listeners: Who receives, by device.
    """

    def __init__(self, network: Network) -> None:
        self.listeners: dict[int, Listener] = {}
        self._network = network
        self._begun: dict[tuple[Way, int, object], Multicast] = {}
        self._begun_s = -math.inf

    def join(self, way: Way, device: Device, payload: Payload, bits: int, loss: ParticipationLost | None) -> Listener:
        """Let a device receive a payload, together with those that begin to at this very moment.

        Args:
            way: The downlink of its base station.
            device: Who it is.
            payload: What travels; without ``content`` it is nobody else's.
            bits: After how many of them it will hear no more.
            loss: Why, if these are not all.
        """
        now_s, sector = self._network.env.now, device.sector
        if now_s != self._begun_s:
            self._begun.clear()
            self._begun_s = now_s
        key = way, sector, payload.content
        multicast = None if payload.content is None else self._begun.get(key)
        if multicast is None or not multicast.is_open:
            multicast = self._begun[key] = Multicast(self._network, way, sector, payload.bits)
        self.listeners[device.id] = listener = Listener(multicast, device, bits, loss)
        multicast.join(listener)
        return listener

    @property
    def under_way(self) -> list[Multicast]:
        """Those that somebody listens to, in the order in which they began."""
        return list(dict.fromkeys(listener.multicast for listener in self.listeners.values()))

    def adapt(self) -> None:
        """Let all go on at the rates of their worst receivers, as radios are now."""
        for multicast in self.under_way:
            multicast.adapt()

    def change_cell(self, device_id: int, cause: str | None) -> None:
        """Let a device that changes cells, if it listens, get the rest by itself in the new one, or lose it.

        What it has missed there is forwarded to it (lossless handover: TS 38.300, clause 16.10.5.3).

        Args:
            device_id: Who it is.
            cause: Why the connection breaks; None: it does not.
        """
        if (listener := self.listeners.get(device_id)) is not None:
            if cause is None:
                listener.multicast.release(listener)
            else:
                listener.multicast.lose(listener, cause)
