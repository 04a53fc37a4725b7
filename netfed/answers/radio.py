"""Path loss, shadowing, and what 3GPP's companies and another simulator found for whole networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from netfed.network.radio.antenna import Antenna
from netfed.network.radio.propagation import Propagation
from netfed.streams import Streams
from netfed.vectors import Found, Inputs

if TYPE_CHECKING:
    from numpy import float32, float64
    from numpy.typing import NDArray

_PERCENTILES = [5, 25, 50, 75, 95]


def path_loss(inputs: Inputs) -> Found:
    import numpy as np

    kind = _propagation(inputs["scenario"])
    if kind is None:
        return None
    clutter = {f"clutter_{name.removesuffix('_m')}": value for name, value in inputs.get("clutter", {}).items()}
    keys = {field.name for field in fields(kind)} & set(clutter)
    model = kind(
        base_station_height=inputs["h_bs_m"], device_height=inputs["h_ut_m"], **{key: clutter[key] for key in keys}
    )
    distance_m, height_m = np.array([inputs["d2d_m"]], float), np.array([inputs["h_ut_m"]], float)
    los_db, nlos_db = model.path_loss_db(distance_m, height_m, inputs["fc_ghz"] * 1e9, inputs.get("he_m", 1.0))
    return {
        "pathloss_db": (los_db if inputs["los"] else nlos_db).item(),
        "p_los": np.broadcast_to(model.los_probability(distance_m, height_m), 1).item(),
    }


def shadowing(inputs: Inputs) -> Found:
    kind = _propagation(inputs["scenario"])
    if kind is None:
        return None
    return {
        "sigma_los_db": kind.los.sigma_db,
        "sigma_nlos_db": kind.nlos.sigma_db,
        "dcorr_los_m": kind.los.correlation_m,
        "dcorr_nlos_m": kind.nlos.correlation_m,
    }


def free_space(inputs: Inputs) -> Found:
    from netfed.network.radio.propagation import free_space_db

    return {"pl_db": free_space_db(inputs["d_m"], inputs["fc_ghz"] * 1e9).item()}


def _propagation(scenario: str) -> Any:
    """Return the model of a scenario of 3GPP TR 38.901, by its name there; None if there is none."""
    from netfed.network.radio import indoor, outdoor  # noqa: F401
    from netfed.network.radio.propagation import Propagation

    return Propagation.kinds.get(scenario.lower())


def calibration(inputs: Inputs) -> Found:
    """3GPP's evaluation of large-scale models (TR 38.901, clause 7.8.1); the title says of what."""
    from netfed.network.radio.antenna import Sectors

    kind, (_, _, metric) = _propagation(inputs["scenario"]), inputs.title.partition("/")
    if kind is None:
        return None
    antenna = Sectors(sectors=inputs["sectors_per_site"], azimuth_degrees=0.0)
    drop = _drop(inputs, kind(base_station_height=inputs["h_bs_m"]), antenna, _over_hexagons)
    found_db = _geometry_db(inputs, drop, worlds=3)
    return {"db": found_db[metric]} if metric in found_db else None


def simple_sinr(inputs: Inputs) -> Found:
    """Sionna's grid: places as likely in all directions, and single elements that lean towards the middle of a cell."""
    from netfed.network.radio.antenna import Sectors

    kind = _propagation(inputs["scenario"])
    if kind is None:
        return None
    model = kind(device_height=inputs["h_ut_m"])
    middle_m = (model.nearest_m + inputs["isd_m"] / 2) / 2
    tilt = math.degrees(math.atan(model.base_station_height / middle_m))
    antenna = Sectors(sectors=inputs["sectors"], elements=1, azimuth_degrees=30.0, mechanical_tilt_degrees=tilt)
    found_db = _geometry_db(inputs, _drop(inputs, model, antenna, _all_around), worlds=40)
    coupling_loss_db = [-gain_db for gain_db in reversed(found_db["coupling_loss"])]
    return {"percentiles": _PERCENTILES, "sinr_db": found_db["geometry_sinr"], "coupling_loss_db": coupling_loss_db}


class _Drop(NamedTuple):
    """Devices under hexagons of cells, with copies of these all around."""

    model: Propagation
    antenna: Antenna
    frequency_hz: float
    sites: int
    spacing_m: float
    indoor: float
    places: Callable[[float, float, Streams], NDArray[float64]]


def _drop(inputs: Inputs, model: Propagation, antenna: Antenna, places: Any) -> _Drop:
    frequency_hz = inputs["fc_ghz"] * 1e9
    return _Drop(model, antenna, frequency_hz, inputs["sites"], inputs["isd_m"], inputs["indoor_ratio"], places)


def _geometry_db(inputs: Inputs, drop: _Drop, worlds: int) -> dict[str, list[float]]:
    """Return percentiles over devices at their strongest cells, with all cells at full load."""
    import numpy as np

    from netfed.network.radio.power import linear, thermal_noise_w, watts
    from netfed.network.radio.sinr import downlink_sinr

    gain_db = _gains_db(drop, worlds)
    gain, best, load = linear(gain_db.astype(float)), gain_db.argmax(axis=1), np.ones(gain_db.shape[1])
    noise_w = thermal_noise_w(inputs["bw_hz"], inputs["noise_figure_db"])
    sinr, sir = (downlink_sinr(gain, best, watts(inputs["ptx_dbm"]), load, noise) for noise in (noise_w, 0.0))
    metrics_db = {
        "coupling_loss": gain_db.max(axis=1),
        "geometry_sinr": 10 * np.log10(sinr),
        "wideband_sir": 10 * np.log10(sir),
    }
    return {name: np.percentile(values_db, _PERCENTILES).tolist() for name, values_db in metrics_db.items()}


@lru_cache(maxsize=1)
def _gains_db(drop: _Drop, worlds: int) -> NDArray[float32]:
    """Return the gains of the devices of several worlds. [device, cell]"""
    import numpy as np

    from netfed.network.backhaul import positions_m
    from netfed.network.radio.buildings import Buildings
    from netfed.network.radio.channel import Channel
    from netfed.network.radio.wraparound import Wraparound
    from netfed.network.topology import Hexagonal

    sites_m = positions_m(Hexagonal(drop.sites, drop.spacing_m).graph())
    around = Wraparound(drop.sites, drop.spacing_m)
    gains_db = []
    for streams in map(Streams, range(1, worlds + 1)):
        around_m = drop.places(drop.spacing_m, drop.model.nearest_m, streams)
        ids = np.arange(len(around_m))
        surroundings = Buildings(indoor=drop.indoor).surround(ids, drop.model, drop.frequency_hz, streams)
        channel = Channel(drop.model, drop.antenna, sites_m, drop.frequency_hz, streams, around)
        gains_db.append(channel.gain_db(around_m + sites_m[ids % len(sites_m)], surroundings))
    return np.concatenate(gains_db)


def _over_hexagons(spacing_m: float, nearest_m: float, streams: Streams) -> NDArray[float64]:
    """Return places, uniform over a hexagon, that are not too near to its middle. [device, 2]"""
    import numpy as np

    from netfed.network.population import scatter

    places_m = scatter(10_000, spacing_m, streams)
    far: NDArray[float64] = places_m[np.hypot(*places_m.T) >= nearest_m]
    return far


def _all_around(spacing_m: float, nearest_m: float, streams: Streams) -> NDArray[float64]:
    """Return places in a hexagon, all directions as likely, that are not too near to antennas 23.5 m up. [device, 2]"""
    import numpy as np

    ids = np.arange(1500)
    angle = 2 * np.pi * streams.uniform("angle", ids)
    edge_m = spacing_m / 2 / np.cos(angle - np.rint(angle / (np.pi / 3)) * (np.pi / 3))
    nearest_square = nearest_m**2 - 23.5**2
    distance_m = np.sqrt(streams.uniform("distance", ids) * (edge_m**2 - nearest_square) + nearest_square)
    return np.stack([distance_m * np.cos(angle), distance_m * np.sin(angle)], axis=-1)
