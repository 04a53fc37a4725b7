"""The report: everything in one file, and nothing in it that runs but its own script."""

from __future__ import annotations

from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from netfed.manifest import problems
from netfed.progress import Progress
from netfed.report import page
from tests.recorded import EVENTS, ROUNDS, SUMMARY, link, lost, participation, record, transfer
from tests.unit.conftest import Netfed


class Reader(HTMLParser):
    """What a browser would make of a page: its tags, and its text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._silent = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text += f"{data} "


def test_a_report_holds_all_that_the_summary_says_and_more(tmp_path: Path) -> None:
    events = [link(2, "uplink", 0.0, 9.0, 0.2), *EVENTS]
    results = record(tmp_path, ROUNDS, events, resolved="name: toy\nseed: 1  # & more\n")
    text = Reader(page(results)).text
    for part in (
        f"{results.manifest.run} · fedavg · seed 1",
        "central 0.900",
        "fedavg is 10.0 points below",
        "local 0.600",
        "2 MB up, 4 MB down, 6 MB backhaul; of this 1 kB in vain",
        "3 kJ: 2\u00a0kJ\u00a0transmit, 1\u00a0kJ\u00a0compute",
        "8 selected: 3\u00a0arrived, 2\u00a0late, 1\u00a0lost",
        "fedavg: accuracy 0.800 after 3 min 00 s",
        "3 of 8 participations came to nothing, 2 of them: late",
        "Busiest: cell 2 uplink, 1 % of the time",
        "seed: 1  # & more",
        "e" * 64,
        "d" * 64,
    ):
        assert part in text


def test_a_page_asks_for_nothing_and_lets_nothing_ask(tmp_path: Path) -> None:
    tags = Reader(page(record(tmp_path, ROUNDS, EVENTS))).tags
    assert not [attributes for _, attributes in tags if {"src", "href", "srcset", "data"} & attributes.keys()]
    policy = next(attributes["content"] for tag, attributes in tags if attributes.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_names_from_files_are_text_wherever_they_stand(tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>'\"&"
    events = [*EVENTS, transfer(1, evil, 170.0, 171.0, evil), lost(171.0, evil)]
    summary = {**SUMMARY, "references": {evil: 0.7}, "losses": {evil: 1}, "model_digest": evil}
    plain = Reader(page(record(tmp_path, ROUNDS, EVENTS)))
    html = page(record(tmp_path, ROUNDS, events, summary, scheme=evil, resolved=evil))
    attacked = Reader(html)
    assert {tag for tag, _ in attacked.tags} == {tag for tag, _ in plain.tags}
    assert [tag for tag, _ in attacked.tags].count("script") == 2
    assert evil in attacked.text
    assert evil not in html
    assert "\\u003cbr" in html


def panels(html: str) -> dict[str, bool]:
    """The charts of a page, in order, and whether each has a row for itself."""
    tags = Reader(html).tags
    wide = [attributes.get("class") == "wide" for tag, attributes in tags if tag == "figure"]
    names = [str(attributes["id"]) for tag, attributes in tags if tag == "div" and "id" in attributes]
    return dict(zip(names, wide, strict=True))


def test_a_run_that_has_only_begun_has_a_report_too(tmp_path: Path) -> None:
    html = page(record(tmp_path, [], [], None))
    text = Reader(html).text
    assert "state running" in text
    assert text.count("No round has been evaluated yet.") == 1
    assert text.count("Nothing is recorded yet.") == 1
    assert panels(html) == {}


LOOKS = [link(2, "uplink", 0.0, 9.0, 0.2)]
COSTS = {"time": False, "bytes": False, "energy": False}


def test_charts_stand_two_in_a_row_but_for_those_of_time(tmp_path: Path) -> None:
    html = page(record(tmp_path, ROUNDS, [*LOOKS, *EVENTS]))
    assert panels(html) == {**COSTS, "losses": False, "utilisation": True, "timeline": True}


def test_where_nothing_was_lost_or_measured_that_is_said_and_no_place_is_kept(tmp_path: Path) -> None:
    html = page(record(tmp_path, ROUNDS, participation(1, 20.0)))
    assert panels(html) == {**COSTS, "energy": True, "timeline": True}
    assert "Nothing was lost. " in Reader(html).text
    assert "How busy links were was not recorded (network.meter)." in Reader(html).text


@pytest.mark.parametrize("finished", [True, False])
def test_where_nothing_is_evaluated_nothing_is_said_of_it(tmp_path: Path, finished: bool) -> None:
    rounds = [{**row, "accuracy": None} for row in ROUNDS]
    nothing = {"metric": {"name": "accuracy", "first": None, "last": None, "best": None}, "references": {}}
    results = record(tmp_path, rounds, [*LOOKS, *EVENTS], {**SUMMARY, **nothing})
    progress = asdict(Progress(2, 4, 180.0, ("accuracy", None), bits=0, lost=0, trained=0, torch_s=0.0))
    html = page(
        results if finished else replace(results, summary=None, status={**results.status, "progress": progress})
    )
    assert panels(html) == {"losses": True, "utilisation": True, "timeline": True}
    assert "evaluated" not in Reader(html).text
    assert "accuracy" not in Reader(html).text


def test_the_command_writes_it_beside_the_run_or_where_it_is_told(netfed: Netfed, tmp_path: Path) -> None:
    results = record(tmp_path, ROUNDS, EVENTS)
    done = netfed("report", results.path)
    assert (done.code, done.out) == (0, "")
    assert (results.path / "report.html").read_text(encoding="utf-8") == page(results)
    assert problems(results.path) == []
    elsewhere = tmp_path / "there.html"
    assert netfed("report", results.path, "--out", elsewhere, "--json").json == {
        "run": str(results.path),
        "report": str(elsewhere),
    }
    assert elsewhere.read_bytes() == (results.path / "report.html").read_bytes()
    assert netfed("report", results.path, "--out", tmp_path / "no" / "where.html").code == 2
