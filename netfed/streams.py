"""Addressed randomness: a draw is a function of (seed, stream name, entity, index), never of what was drawn before.

Two schemes at one seed therefore meet the same devices, losses and availability, and adding a device, a metric or a
recorder changes no other draw. Nothing else in netfed makes a generator.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GAMMA = 0x9E3779B97F4A7C15
_64_BITS = 0xFFFF_FFFF_FFFF_FFFF
_BLOCK = 2**15
"""Draws that are made at once: so many stay in a processor's cache, and take half the time."""


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 finaliser (Steele, Lea and Flood, OOPSLA 2014, fig. 15), in place."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _mix_one(z: int) -> int:
    """`_mix` of one number: for so few, arithmetic on Python's integers is ten times as fast."""
    z &= _64_BITS
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _64_BITS
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _64_BITS
    return z ^ (z >> 31)


class Streams:
    """All the randomness of one world.

    Args:
        seed: Non-negative; the same seed is the same world.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._bases: dict[str, int] = {}

    def seed(self, name: str, *address: int) -> int:
        """Return 64 bits for one address, to seed a generator that lives elsewhere (torch's, say)."""
        return self._digest(name, *address) & _64_BITS

    def generator(self, name: str, *address: int) -> np.random.Generator:
        """Return a generator of its own for one address. About 20 us: for many entities use `uniform`."""
        return np.random.Generator(np.random.Philox(key=self._digest(name, *address)))

    def uniform(self, name: str, entity: ArrayLike, index: ArrayLike = 0) -> NDArray[np.float64]:
        """Return independent draws from the open interval (0, 1), one for each (entity, index).

        Args:
            name: The stream.
            entity: Non-negative integers, any shape.
            index: Non-negative integers that broadcast against ``entity``.
        """
        entities = np.asarray(entity)
        if entities.ndim == 1 and len(entities) > _BLOCK and np.ndim(index) == 0:
            draws = np.empty(len(entities))
            for start in range(0, len(entities), _BLOCK):
                draws[start : start + _BLOCK] = self.uniform(name, entities[start : start + _BLOCK], index)
            return draws
        base, gamma = np.uint64(self._base(name)), np.uint64(_GAMMA)
        with np.errstate(over="ignore"):
            hashed = _mix(entities.astype(np.uint64) * gamma + base)
            hashed = _mix((hashed ^ np.asarray(index, dtype=np.uint64)) * gamma + base)
        return (np.asarray(hashed >> np.uint64(11), dtype=np.float64) + 0.5) * 2.0**-53

    def draw(self, name: str, entity: int, index: int = 0) -> float:
        """Return the one draw that `uniform` has for (entity, index)."""
        base = self._base(name)
        hashed = _mix_one(entity * _GAMMA + base)
        hashed = _mix_one((hashed ^ index) * _GAMMA + base)
        return ((hashed >> 11) + 0.5) * 2.0**-53

    def normal(self, name: str, entity: ArrayLike, index: ArrayLike = 0) -> NDArray[np.float64]:
        """Return independent standard normal draws, one for each (entity, index) (Box and Muller, 1958)."""
        radius = np.sqrt(-2.0 * np.log(self.uniform(name + "/radius", entity, index)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(name + "/angle", entity, index)))

    def _base(self, name: str) -> int:
        base = self._bases.get(name)
        if base is None:
            base = self._bases[name] = self.seed(name)
        return base

    def _digest(self, *address: Any) -> int:
        text = "/".join(map(str, (self._seed, *address)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
