from __future__ import annotations

from netfed.errors import ScenarioError, printable


def test_a_line_prints_as_one_line() -> None:
    assert printable("s.yaml:1:1: é 'x'") == "s.yaml:1:1: é 'x'"
    assert printable("\x1b[31m\nx\u202e") == r"\x1b[31m\nx\u202e"


def test_of_a_long_line_both_ends_are_shown() -> None:
    line = printable("start" + "x" * 10_000 + "end")
    assert len(line) == 505
    assert line.startswith("startx")
    assert " ... " in line
    assert line.endswith("xend")
    assert printable("x" * 500) == "x" * 500


def test_a_scenario_error_is_ready_to_print() -> None:
    error = ScenarioError("a\nb", "c")
    assert error.lines == (r"a\nb", "c")
    assert str(error) == "a\\nb\nc"
