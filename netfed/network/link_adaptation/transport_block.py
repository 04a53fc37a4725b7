"""How many bits a slot carries: TS 38.214, clause 5.1.3.2, and clause 6.1.4.2 for the uplink."""

from __future__ import annotations

import math
from bisect import bisect_left

from netfed.network.link_adaptation.numerology import SUBCARRIERS_PER_BLOCK

_MOST_ELEMENTS = 156  # of a resource block in a slot
_LARGEST_LISTED = 3824
_CRC = 24
_LISTED: list[int] = [
    *(*range(24, 192, 8), *range(192, 385, 16), *range(408, 577, 24), *range(608, 769, 32), *range(808, 929, 40)),
    *(984, 1032, 1064, *range(1128, 1353, 32), *range(1416, 1929, 64), *range(2024, 2281, 64), *range(2408, 2857, 64)),
    *(2976, 3104, 3240, 3368, 3496, 3624, 3752, 3824),
]
"""Table 5.1.3.2-1: transport block sizes up to 3824 bits."""


def resource_elements(blocks: int, symbols: int, reference_elements: int, overhead_elements: int) -> int:
    """Return how many resource elements of a slot carry data.

    Args:
        blocks: Resource blocks.
        symbols: OFDM symbols that are for data and its reference signals.
        reference_elements: Taken by demodulation reference signals, in each resource block.
        overhead_elements: Taken by other signals, in each resource block: RRC's ``xOverhead``.
    """
    of_a_block = SUBCARRIERS_PER_BLOCK * symbols - reference_elements - overhead_elements
    return blocks * min(of_a_block, _MOST_ELEMENTS)


def transport_block_bits(elements: int, modulation_order: int, code_rate: float, layers: int) -> int:
    """Return the size of a transport block.

    Args:
        elements: Resource elements that carry it.
        modulation_order: Coded bits of a resource element and layer.
        code_rate: Information bits of a coded bit, nominally: the size is rounded, for small blocks upwards to 24 bits.
        layers: Spatial layers.
    """
    information_bits = elements * code_rate * modulation_order * layers
    if information_bits <= _LARGEST_LISTED:
        step = 1 << max(3, math.floor(math.log2(information_bits)) - 6)
        quantised = step * math.floor(information_bits / step)
        return _LISTED[bisect_left(_LISTED, quantised)]
    step = 1 << (math.floor(math.log2(information_bits - _CRC)) - 5)
    quantised = max(3840, step * math.floor((information_bits - _CRC) / step + 0.5))
    if code_rate <= 1 / 4:
        code_blocks = math.ceil((quantised + _CRC) / 3816)
    elif quantised > 8424:
        code_blocks = math.ceil((quantised + _CRC) / 8424)
    else:
        code_blocks = 1
    return 8 * code_blocks * math.ceil((quantised + _CRC) / (8 * code_blocks)) - _CRC
