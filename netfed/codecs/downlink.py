"""How models go down to the devices."""

from __future__ import annotations

from dataclasses import dataclass, field

from netfed.codecs.float32 import Float32
from netfed.codecs.spec import Codec


@dataclass(frozen=True)
class Downlink:
    """What devices are sent of each version of the model.

    Under `Float32` it is the version itself. Any other codec compresses the difference to what was published before:
    published[v + 1] = published[v] + decoded(encoded(model[v + 1] - published[v])), from published[0] = model[0]. What
    the codec leaves out is so carried forward to the next difference (both directions compressed with error
    compensation: Tang et al., "DoubleSqueeze", ICML 2019, arXiv:1905.05957), and all devices train from what was
    published. Buffers are published as they are.

    Attributes:
        codec: Of the differences.
        cache: Whether devices keep the version that they were sent last. Then they are sent the differences since, or
            the whole model where that is shorter, and a bare header if they hold the very version; without, the whole
            model every time. What devices learn is the same.
    """

    codec: Codec = field(default_factory=Float32)
    cache: bool = True

    def __post_init__(self) -> None:
        if self.codec.amplifies:
            raise ValueError(
                f"codec {self.codec.kind} is too coarse for differences: what it leaves out would grow from version to "
                "version (qsgd: raise entry_bits or lower bucket)"
            )
