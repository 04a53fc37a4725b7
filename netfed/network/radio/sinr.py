"""Signal over interference and noise, in the mean over the fading. All linear.

A cell transmits for its load, the share of the time or of the band in which it has something to send, and interferes
for as long. A served device and its cell point beams at each other; an interferer's point anywhere, and in the mean
over that they are as strong as no beam.

No result depends on who else is asked for in the same call, so that devices may come in chunks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.integer[Any]]


def downlink_sinr(
    gain: Floats, serving: Indices, power_w: float, load: Floats, noise_w: float, beam_gain: float = 1.0
) -> Floats:
    """Return each device's SINR in the downlink.

    With loads of 1 and no beams it is the geometry of TR 38.901, clause 7.8.1; without noise as well, the wideband SIR.

    Args:
        gain: From each cell to each device. [device, cell]
        serving: Each device's cell. [device]
        power_w: What a cell transmits while it does.
        load: Of each cell, from 0 to 1. [cell]
        noise_w: In a device's receiver, over the whole carrier.
        beam_gain: By which beams make the signal stronger.

    Returns:
        [device]
    """
    received_w = gain * np.asarray(load * power_w, gain.dtype)
    devices = np.arange(len(gain))
    signal_w = gain[devices, serving] * gain.dtype.type(power_w * beam_gain)
    received_w[devices, serving] = 0.0
    sinr: Floats = signal_w / (received_w.sum(axis=1) + gain.dtype.type(noise_w))
    return sinr


def uplink_received_w(gain: Floats, serving: Indices, power_w: Floats) -> NDArray[np.float64]:
    """Return with what power cells receive the devices of each cell, summed over these.

    Chunks of devices add up. Divided by how many devices there are, it is what `uplink_interference_w` wants.

    Args:
        gain: Between each cell and each device. [device, cell]
        serving: Each device's cell. [device]
        power_w: What each device transmits. [device]

    Returns:
        [serving cell, receiving cell]
    """
    cells = gain.shape[1]
    received_w = (gain * power_w[:, np.newaxis]).T
    return np.stack([np.bincount(serving, weights, cells) for weights in received_w], axis=1)


def uplink_interference_w(mean_received_w: NDArray[np.float64], senders: Floats) -> NDArray[np.float64]:
    """Return the interference that each cell receives from the devices of others.

    In each other cell as many devices transmit at a time as it has senders, and all equally often.

    Args:
        mean_received_w: With what power a cell receives a device of another one. [serving cell, receiving cell]
        senders: Devices of each cell that transmit at a time, in the mean over the time. [cell]

    Returns:
        [cell]
    """
    from_others_w = mean_received_w.copy()
    np.fill_diagonal(from_others_w, 0.0)
    interference_w: NDArray[np.float64] = (from_others_w * senders[:, np.newaxis]).sum(axis=0)
    return interference_w


def uplink_sinr(
    serving_gain: Floats,
    serving: Indices,
    power_w: Floats,
    interference_w: Floats,
    noise_w: float,
    beam_gain: float = 1.0,
) -> Floats:
    """Return each device's SINR at its cell.

    Args:
        serving_gain: Between it and its cell. [device]
        serving: Its cell. [device]
        power_w: What it transmits, over the whole carrier. [device]
        interference_w: That each cell receives. [cell]
        noise_w: In a base station's receiver, over the whole carrier.
        beam_gain: By which beams make the signal stronger.

    Returns:
        [device]
    """
    unwanted_w = np.asarray(interference_w + noise_w, serving_gain.dtype)
    sinr: Floats = serving_gain * power_w * serving_gain.dtype.type(beam_gain) / unwanted_w[serving]
    return sinr
