from __future__ import annotations

from netfed.docstrings import attributes, description


class Link:
    """A link.

    Of any kind.

    Attributes:
        rate: Of its radio:
            in bits per second.
        loss: Of transfers.

            - never 1

    And so on.
    """


class Radio(Link):
    """A radio link.

    Attributes:
        loss: Another.
        band: Of frequencies.

    Raises:
        ValueError: Never.
    """


class Bare(Radio):
    pass


def test_a_class_is_described_by_what_stands_before_any_section() -> None:
    assert description(Link) == "A link.\n\nOf any kind."
    assert description(Radio) == "A radio link."
    assert description(Bare) == ""


def test_attributes_are_described_on_one_line_and_inherited() -> None:
    assert attributes(Link) == {"rate": "Of its radio: in bits per second.", "loss": "Of transfers."}
    assert attributes(Bare) == {
        "rate": "Of its radio: in bits per second.",
        "loss": "Another.",
        "band": "Of frequencies.",
    }
