"""How much of what one end transmits reaches the other, for any device anywhere: the same, whoever else is asked of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netfed.network.radio.antenna import Antenna
from netfed.network.radio.buildings import Surroundings
from netfed.network.radio.fields import Fields, share_below
from netfed.network.radio.propagation import Propagation, slant_m
from netfed.network.radio.wraparound import Wraparound
from netfed.streams import Streams

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

_CHUNK = 4096
"""Devices at a time: their arrays stay in the processor's cache."""


class Term(NamedTuple):
    """A line of a link budget.

    Attributes:
        name: What it is.
        value: In ``unit``; 1 or 0 for line of sight.
        unit: ``m``, ``dB`` or nothing.
        source: Standard and clause.
    """

    name: str
    value: float
    unit: str
    source: str


class Channel:
    """The large-scale channel between cells and devices: what is left of the power, the same both ways.

    A cell is a sector of a base station; those of one base station come one after the other. They share line of sight
    and shadowing, and differ in their antennas only.

    Args:
        propagation: Path loss, line of sight and shadowing.
        antenna: Of all base stations. Devices have isotropic ones.
        sites_m: Where base stations are. [site, 2]
        frequency_hz: Of the carrier.
        streams: Addressed by site, or by device and site.
        wraparound: Repeats the base stations all around, if given.

    Raises:
        ValueError: The propagation is not valid at this frequency.
    """

    def __init__(
        self,
        propagation: Propagation,
        antenna: Antenna,
        sites_m: Floats,
        frequency_hz: float,
        streams: Streams,
        wraparound: Wraparound | None = None,
    ) -> None:
        propagation.check_frequency(frequency_hz)
        self._propagation, self._antenna, self._frequency_hz = propagation, antenna, frequency_hz
        self._sites_m, self._streams, self._wraparound = np.asarray(sites_m, np.float32), streams, wraparound
        self._absorption_db_per_m = propagation.absorption_db_per_m(frequency_hz)
        count = len(sites_m)
        self._state = Fields("radio/line-of-sight", count, propagation.state_correlation_m, streams)
        self._los, self._nlos, self._indoors = (
            Fields(f"radio/shadowing/{where}", count, shadowing.correlation_m, streams)
            for where, shadowing in (
                ("los", propagation.los),
                ("nlos", propagation.nlos),
                ("indoors", propagation.indoors or propagation.nlos),
            )
        )

    @property
    def cells(self) -> int:
        """How many there are."""
        return len(self._sites_m) * self._antenna.sectors

    def gain_db(self, positions_m: Floats, devices: Surroundings, now_s: float = 0.0) -> NDArray[np.float32]:
        """Return the gain from each cell's transmitter to each device's receiver: minus the coupling loss.

        Args:
            positions_m: [device, 2]
            devices: What is around them.
            now_s: The present: people move.

        Returns:
            [device, cell]
        """
        gain_db = np.empty((len(positions_m), self.cells), np.float32)
        for start in range(0, len(positions_m), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            links = self._links(positions_m[chunk], devices.of(chunk), now_s)
            gain_db[chunk] = links.gain_db.reshape(self.cells, -1).T
        return gain_db

    def budget(self, position_m: Floats, device: Surroundings, cell: int, now_s: float = 0.0) -> list[Term]:
        """Return what one of the gains is made of, line by line; the last is the gain.

        Air that absorbs nothing has no line.

        Args:
            position_m: [2]
            device: What is around it. [1]
            cell: Of which base station and sector.
            now_s: The present.
        """
        links = self._links(np.asarray(position_m)[None], device, now_s)
        site, sector = divmod(cell, self._antenna.sectors)
        model = self._propagation

        def of_site(values: Floats | Bools) -> float:
            return float(values[site, 0])

        absorption = Term("absorption", of_site(links.absorption_db), "dB", model.absorption_source)
        return [
            Term("distance along the ground", of_site(links.distance_m), "m", "3GPP TR 38.901, figure 7.4.1-1"),
            Term("distance between antennas", of_site(links.slant_m), "m", "3GPP TR 38.901, figure 7.4.1-1"),
            Term("device height", float(device.height_m[0]), "m", "device_height, and 3 m a floor"),
            Term("probability of line of sight", of_site(links.los_probability), "", model.los_source),
            Term("line of sight", of_site(links.los), "", "3GPP TR 38.901, clause 7.6.3.3"),
            Term("path loss", of_site(links.path_loss_db), "dB", model.source),
            *(
                Term(f"{excess.of} out of range", excess.value_m, "m", f"path loss holds for {excess.range}")
                for excess in model.validity.excesses(
                    of_site(links.distance_m),
                    model.base_station_height,
                    float(device.height_m[0]),
                    bool(links.los[site, 0]),
                )
            ),
            Term("shadowing", of_site(links.shadowing_db), "dB", "3GPP TR 38.901, clause 7.4.4 and table 7.5-6"),
            Term("walls or car", float(device.penetration_db[0]), "dB", "3GPP TR 38.901, clause 7.4.3"),
            *([absorption] if self._absorption_db_per_m else []),
            Term("antenna gain", float(links.antenna_db[site, sector, 0]), "dB", self._antenna.source),
            Term("gain", float(links.gain_db[site, sector, 0]), "dB", "3GPP TR 38.901, clause 7.8.1"),
        ]

    def _links(self, positions_m: Floats, devices: Surroundings, now_s: float) -> _Links:
        """Return all that lies between some devices and all cells."""
        model, positions_m = self._propagation, np.asarray(positions_m, np.float32)
        height_m = devices.height_m
        east_m, north_m = (positions_m[:, axis] - self._sites_m[:, axis, None] for axis in (0, 1))
        if self._wraparound:
            east_m, north_m = self._wraparound.shortest(east_m, north_m)
        distance_m = np.sqrt(east_m * east_m + north_m * north_m)
        rise_m = height_m - np.float32(model.base_station_height)
        outside_m = np.maximum(distance_m - devices.depth_m, 0)
        los_probability = model.los_probability(outside_m, height_m)
        drifted_m = positions_m + np.array([model.drift_m_per_s * now_s, 0.0])
        los = share_below(self._state.at(drifted_m)) < los_probability
        los_db, nlos_db = model.path_loss_db(
            distance_m, height_m, self._frequency_hz, self._environment_m(distance_m, devices)
        )
        path_loss_db = np.where(los, los_db, nlos_db)
        shadowing_db = self._shadowing_db(positions_m, distance_m, los, devices)
        slant = slant_m(distance_m, rise_m)
        absorption_db = slant * self._absorption_db_per_m
        antenna_db = self._antenna.gain_db(east_m, north_m, rise_m)
        loss_db = path_loss_db + shadowing_db + devices.penetration_db + absorption_db
        return _Links(
            distance_m=distance_m,
            slant_m=slant,
            los_probability=los_probability,
            los=los,
            path_loss_db=path_loss_db,
            shadowing_db=shadowing_db,
            absorption_db=absorption_db,
            antenna_db=antenna_db,
            gain_db=antenna_db - loss_db[:, None],
        )

    def _environment_m(self, distance_m: Floats, devices: Surroundings) -> Floats | float:
        """Return what reflects: the ground, and roofs where the model says so of tall devices."""
        tall = np.flatnonzero(devices.height_m >= self._propagation.reflects_above_m)
        if not tall.size:
            return 1.0
        environment_m = np.ones_like(distance_m)
        draw = self._streams.uniform("radio/environment", devices.ids[tall], np.arange(len(distance_m))[:, None])
        environment_m[:, tall] = self._propagation.environment_height_m(
            distance_m[:, tall], devices.height_m[tall], draw
        )
        return environment_m

    def _shadowing_db(self, positions_m: Floats, distance_m: Floats, los: Bools, devices: Surroundings) -> Floats:
        model = self._propagation
        los_sigma_db = model.los_sigma_db(distance_m, devices.height_m, self._frequency_hz)
        outdoors_db = np.where(
            los, self._los.at(positions_m) * los_sigma_db, self._nlos.at(positions_m) * model.nlos.sigma_db
        )
        if model.indoors is None or not devices.indoor.any():
            return outdoors_db
        return np.where(devices.indoor, self._indoors.at(positions_m) * model.indoors.sigma_db, outdoors_db)


class _Links(NamedTuple):
    """All that lies between cells and devices. [site, device], but where it says so.

    Attributes:
        distance_m: Along the ground.
        slant_m: Between antennas.
        los_probability: Of line of sight.
        los: Whether there is.
        path_loss_db: Of the two, the one that holds.
        shadowing_db: Above zero where it takes.
        absorption_db: By the air.
        antenna_db: [site, sector, device]
        gain_db: The sum. [site, sector, device]
    """

    distance_m: Floats
    slant_m: Floats
    los_probability: Floats
    los: Bools
    path_loss_db: Floats
    shadowing_db: Floats
    absorption_db: Floats
    antenna_db: Floats
    gain_db: Floats
