"""What netfed makes of test vectors (`netfed.vectors`): each group goes through the code that a run uses."""

from __future__ import annotations

from netfed.answers import link_adaptation, queues, radio, sharing
from netfed.vectors import Answer

ANSWERS: dict[str, Answer] = {
    "pathloss": radio.path_loss,
    "pathloss-ns3": radio.path_loss,
    "shadow": radio.shadowing,
    "fspl": radio.free_space,
    "calibration-38901": radio.calibration,
    "sinr-simple": radio.simple_sinr,
    "mcs-threshold": link_adaptation.mcs,
    "tbs": link_adaptation.transport_block,
    "n-prb": link_adaptation.resource_blocks,
    "peak-rate": link_adaptation.peak_rate,
    "maxmin": sharing.max_min,
    "fluid-sg": sharing.completions,
    "ps-queue": queues.processor_sharing,
    "dps-queue": queues.discriminatory_sharing,
}
"""By group. The groups that are not here ask for what netfed has no code for."""
