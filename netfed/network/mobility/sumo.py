"""Floating car data as SUMO exports it (``sumo --fcd-output``, schema fcd_file.xsd). Light to import."""

from __future__ import annotations

from xml.parsers import expat

from netfed.network.mobility.track import Track, finite

_MOVES = {"vehicle", "person", "container"}


def read(data: bytes, path: str) -> dict[str, Track]:
    """Return the movement of each vehicle, person and container, in the order in which they appear.

    Raises:
        ValueError: Names the line that is wrong. A document type is: its entities could blow the file up.
    """
    export = _Export(path)
    try:
        export.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"{path}:{error.lineno}: not XML: {expat.ErrorString(error.code)}") from error
    if not export.tracks:
        raise ValueError(f"{path}: no vehicle, person or container")
    return export.tracks


class _Export:
    """What has been read so far.

    Attributes:
        parser: Reads the file.
        tracks: By kind of element and id.
    """

    def __init__(self, path: str) -> None:
        self.tracks: dict[str, Track] = {}
        self._path = path
        self._time_s: float | None = None
        self._root = ""
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse_document_type
        self.parser.StartElementHandler = self._element

    def _element(self, name: str, attributes: dict[str, str]) -> None:
        if not self._root:
            self._root = name
            self._require(name == "fcd-export", f"<{name}> is no floating car data: the first element is <fcd-export>")
        elif name == "timestep":
            self._timestep(attributes)
        elif name in _MOVES:
            self._moment(name, attributes)

    def _timestep(self, attributes: dict[str, str]) -> None:
        time_s = finite(attributes.get("time"))
        if time_s is None or time_s < 0:
            raise self._wrong("<timestep> needs a time in seconds, 0 or later")
        self._require(
            self._time_s is None or self._time_s < time_s, "times must ascend from one <timestep> to the next"
        )
        self._time_s = time_s

    def _moment(self, name: str, attributes: dict[str, str]) -> None:
        x_m, y_m, identity = finite(attributes.get("x")), finite(attributes.get("y")), attributes.get("id")
        if x_m is None or y_m is None or not identity:
            raise self._wrong(f"<{name}> needs an id, and x and y in metres")
        if self._time_s is None:
            raise self._wrong(f"<{name}> must stand in a <timestep>")
        track = self.tracks.setdefault(f"{name} {identity}", [])
        self._require(not track or track[-1][0] < self._time_s, f"{name} {identity!r} is twice in one <timestep>")
        track.append((self._time_s, x_m, y_m))

    def _refuse_document_type(self, *_declared: object) -> None:
        raise self._wrong("a document type (<!DOCTYPE) is not allowed: remove it")

    def _require(self, condition: bool, message: str) -> None:
        if not condition:
            raise self._wrong(message)

    def _wrong(self, message: str) -> ValueError:
        return ValueError(f"{self._path}:{self.parser.CurrentLineNumber}: {message}")
