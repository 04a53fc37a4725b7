"""Plug-ins as a third party would publish them: a kind of each family that has a contract."""

from acme.kinds import Corner, EightBits, LastLayers, Patient, Signs

__all__ = ["Corner", "EightBits", "LastLayers", "Patient", "Signs"]
