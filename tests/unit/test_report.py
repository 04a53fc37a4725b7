"""The report: everything in one file, and nothing in it that runs but its own script."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from netfed.manifest import problems
from netfed.report import page
from tests.recorded import EVENTS, ROUNDS, SUMMARY, link, lost, record, transfer
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


def test_a_run_that_has_only_begun_has_a_report_too(tmp_path: Path) -> None:
    text = Reader(page(record(tmp_path, [], [], None))).text
    assert "state running" in text
    assert "No round has been evaluated yet." in text
    assert "Nothing is recorded yet." in text


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
