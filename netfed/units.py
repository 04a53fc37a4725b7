"""Physical quantities: ``"20 Mbit/s"`` in a scenario file, an SI float everywhere else.

In spec dataclasses the type says the unit (`Seconds`, `BitsPerSecond`, ...); elsewhere the name does, by one of
`NAME_SUFFIXES`. Bits belong to links and bytes to memory, and neither is read as the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from netfed.spelling import did_you_mean

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core.core_schema import CoreSchema

NAME_SUFFIXES = (
    "_s",
    "_hz",
    "_bps",
    "_bits",
    "_bytes",
    "_bytes_per_s",
    "_flops",
    "_flops_per_s",
    "_j",
    "_w",
    "_m",
    "_m_per_s",
    "_db",
    "_dbm",
)
"""How a name that is no spec field may say its unit."""

LARGEST = 1e18
"""The most SI units a quantity may have, so that products of a few quantities stay finite."""

_PREFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "c": Decimal("1e-2"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
}
_NUMBER = r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
_LONGEST = 64
_WRITTEN = re.compile(rf"\s*(?P<sign>[+-]?)(?P<number>{_NUMBER})\s*(?P<unit>\S*)\s*")


@dataclass(frozen=True, eq=False)
class Quantity:
    """Reads and writes one physical quantity; pydantic meets it as the annotation of a field.

    Attributes:
        name: What it is, for messages: ``data rate``.
        example: How it is written: ``20 Mbit/s``.
        units: Each unit that may be written, and its size in SI units.
        signed: It may be negative.
    """

    name: str
    example: str
    units: dict[str, Decimal]
    signed: bool = False

    def parse(self, written: object) -> float:
        """Return the value in SI units.

        Args:
            written: A number and its unit in one string, or a bare 0.

        Raises:
            ValueError: The unit is unknown or missing, or the number is beyond `LARGEST` or has a sign it cannot have.
        """
        if isinstance(written, int | float) and written == 0 and not isinstance(written, bool):
            return 0.0
        hint = f"write e.g. {self.example!r} (units: {', '.join(self.units)})"
        text = str(written)
        match = _WRITTEN.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None or isinstance(written, bool):
            raise ValueError(f"not a {self.name}: {hint}")
        if not match["unit"]:
            raise ValueError(f"unit missing: {hint}")
        size = self.units.get(match["unit"])
        if size is None:
            suggestion = did_you_mean(match["unit"], self.units, likeness=0.5)
            raise ValueError(f"unknown unit {match['unit']!r}" + (suggestion or f": {hint}"))
        if match["sign"] == "-" and not self.signed:
            raise ValueError(f"a {self.name} is never negative")
        value = float(Decimal(match["sign"] + match["number"]) * size)
        if abs(value) > LARGEST:
            raise ValueError(f"above the limit of {self.write(LARGEST)}")
        return value

    def write(self, value: float) -> str:
        """Return the shortest text that `parse` reads as exactly ``value``."""
        exact = Decimal(repr(value))
        numbers = {unit: _plain(exact / size) for unit, size in self.units.items()}
        exactly = (unit for unit, number in numbers.items() if float(Decimal(number) * self.units[unit]) == value)
        return min((f"{numbers[unit]} {unit}" for unit in exactly), key=len)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        units = "|".join(map(re.escape, self.units))
        sign = "[+-]?" if self.signed else r"\+?"
        text = {"type": "string", "pattern": rf"^\s*{sign}{_NUMBER}\s*({units})\s*$"}
        return {"description": self.name, "examples": [self.example], "anyOf": [text, {"const": 0}]}


def _plain(number: Decimal) -> str:
    number = number.normalize()
    return f"{number:f}" if abs(number.adjusted()) < 16 else str(number)


def _scaled(unit: str, *prefixes: str) -> dict[str, Decimal]:
    return {prefix + unit: _PREFIXES[prefix] for prefix in prefixes}


_TIME = _scaled("s", "n", "u", "m", "") | {"min": Decimal(60), "h": Decimal(3600)}
_MEMORY = _scaled("B", "", "k", "M", "G", "T") | {"KiB": Decimal(2**10), "MiB": Decimal(2**20), "GiB": Decimal(2**30)}
_ENERGY = _scaled("J", "n", "u", "m", "", "k", "M", "G") | {"Wh": Decimal(3600), "kWh": Decimal(3_600_000)}

Seconds = Annotated[float, Quantity("time", "5 ms", _TIME)]
Hertz = Annotated[float, Quantity("frequency", "3.5 GHz", _scaled("Hz", "", "k", "M", "G"))]
BitsPerSecond = Annotated[float, Quantity("data rate", "20 Mbit/s", _scaled("bit/s", "", "k", "M", "G", "T"))]
Bits = Annotated[float, Quantity("data size", "4 Mbit", _scaled("bit", "", "k", "M", "G", "T"))]
Bytes = Annotated[float, Quantity("memory size", "4 MB", _MEMORY)]
Flops = Annotated[float, Quantity("amount of work", "2 GFLOP", _scaled("FLOP", "", "k", "M", "G", "T", "P"))]
BytesPerSecond = Annotated[float, Quantity("memory bandwidth", "8 GB/s", _scaled("B/s", "", "k", "M", "G", "T"))]
FlopsPerSecond = Annotated[
    float, Quantity("compute rate", "30 GFLOP/s", _scaled("FLOP/s", "", "k", "M", "G", "T", "P"))
]
Joules = Annotated[float, Quantity("energy", "2 mJ", _ENERGY)]
Watts = Annotated[float, Quantity("power", "0.2 W", _scaled("W", "n", "u", "m", "", "k"))]
Meters = Annotated[float, Quantity("length", "250 m", _scaled("m", "m", "c", "", "k"))]
MetersPerSecond = Annotated[float, Quantity("speed", "50 km/h", {"m/s": Decimal(1), "km/h": 1 / Decimal("3.6")})]
Decibels = Annotated[float, Quantity("ratio", "-3 dB", {"dB": Decimal(1)}, signed=True)]
DecibelMilliwatts = Annotated[float, Quantity("power", "23 dBm", {"dBm": Decimal(1)}, signed=True)]


class _Share:
    """A plain number from 0 to 1."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.float_schema(ge=0.0, le=1.0, strict=True, allow_inf_nan=False)


Fraction = Annotated[float, _Share()]
