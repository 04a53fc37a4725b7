"""The radio against what 3GPP's companies and another simulator found for whole networks."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netfed.network.backhaul import positions_m
from netfed.network.population import scatter
from netfed.network.radio.antenna import Antenna, Sectors
from netfed.network.radio.buildings import Buildings
from netfed.network.radio.channel import Channel
from netfed.network.radio.outdoor import UrbanMacro, UrbanMicro
from netfed.network.radio.wraparound import Wraparound
from netfed.network.topology import Hexagonal
from netfed.streams import Streams

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "network.json").read_text())["vectors"]
CALIBRATION = [vector for vector in VECTORS if vector["group"] == "calibration-38901"]
SIMPLE = [vector for vector in VECTORS if vector["group"] == "sinr-simple"]


KINDS = {"UMa": UrbanMacro, "UMi": UrbanMicro}


def gains_db(inputs: dict[str, Any], antenna: Antenna, around_m: np.ndarray, streams: Streams) -> np.ndarray:
    """Gains of devices around base stations, one after the other, of a hexagonal grid with copies all around it.

    Args:
        inputs: Of a vector.
        antenna: Of the base stations.
        around_m: Places relative to a base station. [device, 2]
        streams: The world.

    Returns:
        [device, cell]
    """
    spec, frequency_hz = KINDS[inputs["scenario"]](), inputs["fc_ghz"] * 1e9
    sites_m = positions_m(Hexagonal(inputs["sites"], inputs["isd_m"]).graph())
    ids = np.arange(len(around_m))
    devices = Buildings(indoor=inputs["indoor_ratio"]).surround(ids, spec, frequency_hz, streams)
    around = Wraparound(inputs["sites"], inputs["isd_m"])
    radio = Channel(spec, antenna, sites_m, frequency_hz, streams, around)
    return radio.gain_db(around_m + sites_m[ids % len(sites_m)], devices)


def metrics_db(inputs: dict[str, Any], gains: np.ndarray) -> dict[str, np.ndarray]:
    """What 3GPP compares, of each device at its strongest cell. [device]"""
    received_w = 10 ** ((gains.astype(np.float64) + inputs["ptx_dbm"] - 30) / 10)
    best_w = received_w.max(axis=1)
    interference_w = received_w.sum(axis=1) - best_w
    noise_w = 10 ** ((-204 + inputs["noise_figure_db"]) / 10) * inputs["bw_hz"]
    return {
        "coupling_loss": gains.max(axis=1),
        "geometry_sinr": 10 * np.log10(best_w / (interference_w + noise_w)),
        "wideband_sir": 10 * np.log10(best_w / interference_w),
    }


@cache
def calibrated(scenario: str, frequency_ghz: float, azimuth_degrees: float = 0.0) -> dict[str, np.ndarray]:
    """The metrics of 3GPP's calibration over three worlds, the first sectors' beams in some direction. [device]"""
    inputs = next(
        vector["inputs"]
        for vector in CALIBRATION
        if (vector["inputs"]["scenario"], vector["inputs"]["fc_ghz"]) == (scenario, frequency_ghz)
    )
    worlds, antenna = [], Sectors(azimuth_degrees=azimuth_degrees)
    for seed in (1, 2, 3):
        streams = Streams(seed)
        around_m = scatter(8000, inputs["isd_m"], streams)
        around_m = around_m[np.hypot(*around_m.T) >= KINDS[scenario].nearest_m]
        worlds.append(gains_db(inputs, antenna, around_m, streams))
    return metrics_db(inputs, np.concatenate(worlds))


@pytest.mark.parametrize("vector", CALIBRATION, ids=[vector["name"] for vector in CALIBRATION])
def test_38901_calibration(vector: dict[str, Any]) -> None:
    """Within the spread of 20 companies (3GPP R1-165974), each at five percentiles."""
    expected, tolerance_db = vector["expected"], vector["tolerance"]["value"]
    metrics = calibrated(vector["inputs"]["scenario"], vector["inputs"]["fc_ghz"])
    values_db = metrics[vector["name"].partition("/")[2]]
    percentiles_db = np.percentile(values_db, expected["percentiles"])
    assert (percentiles_db >= np.array(expected["min_db"]) - tolerance_db).all()
    assert (percentiles_db <= np.array(expected["max_db"]) + tolerance_db).all()


SIR = [vector for vector in CALIBRATION if vector["name"].endswith("wideband_sir")]


@pytest.mark.parametrize("vector", SIR, ids=[vector["name"] for vector in SIR])
def test_the_companies_cells_point_at_their_neighbours(vector: dict[str, Any]) -> None:
    """Why `Sectors` does: between two neighbours, the median is further from the companies' mean."""
    network, mean_db = (vector["inputs"]["scenario"], vector["inputs"]["fc_ghz"]), vector["expected"]["mean_db"][2]
    towards_db, between_db = (np.median(calibrated(*network, azimuth)["wideband_sir"]) for azimuth in (0.0, 30.0))
    assert abs(towards_db - mean_db) < 0.4 < towards_db - between_db


def scattered_by_sionna(count: int, spacing_m: float, streams: Streams) -> np.ndarray:
    """Places in a hexagonal cell, all directions as likely, at least 35 m from the antennas. [device, 2]"""
    ids = np.arange(count)
    angle = 2 * np.pi * streams.uniform("angle", ids)
    edge_m = spacing_m / 2 / np.cos(angle - np.rint(angle / (np.pi / 3)) * (np.pi / 3))
    nearest_square = 35**2 - 23.5**2
    distance_m = np.sqrt(streams.uniform("distance", ids) * (edge_m**2 - nearest_square) + nearest_square)
    return np.stack([distance_m * np.cos(angle), distance_m * np.sin(angle)], axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize("vector", SIMPLE, ids=[vector["name"] for vector in SIMPLE])
def test_as_another_simulator_finds(vector: dict[str, Any]) -> None:
    """Over 40 worlds: Sionna points cells between two neighbours, one element leaning towards the middle of a cell."""
    inputs, expected, tolerance_db = vector["inputs"], vector["expected"], vector["tolerance"]["value"]
    tilt = math.degrees(math.atan(25 / ((35 + inputs["isd_m"] / 2) / 2)))
    antenna = Sectors(elements=1, azimuth_degrees=30.0, mechanical_tilt_degrees=tilt)
    worlds = []
    for seed in range(1, 41):
        streams = Streams(seed)
        worlds.append(gains_db(inputs, antenna, scattered_by_sionna(1500, inputs["isd_m"], streams), streams))
    found = metrics_db(inputs, np.concatenate(worlds))
    sinr_db = np.percentile(found["geometry_sinr"], expected["percentiles"])
    coupling_loss_db = np.percentile(-found["coupling_loss"], expected["percentiles"])
    assert sinr_db == pytest.approx(expected["sinr_db"], abs=tolerance_db)
    assert coupling_loss_db == pytest.approx(expected["coupling_loss_db"], abs=tolerance_db)
