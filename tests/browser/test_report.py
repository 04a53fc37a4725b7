"""The report in a browser: every chart is drawn, at both widths, and nothing is asked of the network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from netfed.report import page
from tests.recorded import EVENTS, ROUNDS, link, record

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --enable-logging=stderr --proxy-server=127.0.0.1:9 --virtual-time-budget=5000"
)
NO_PAGE = (None, "not an origin")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium (on Debian: apt-get install chromium)"),
]


class Opened(NamedTuple):
    """A page as the browser has built it, its errors, and what it asked of the network (not what the browser did)."""

    dom: str
    errors: list[str]
    asked: list[str]


def browse(file: Path, width: int = 1280) -> Opened:
    log = file.parent / "net.json"
    command = [CHROMIUM, *FLAGS.split(), f"--window-size={width},900", f"--log-net-log={log}"]
    command += [f"--user-data-dir={file.parent / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = [event["url"] for event in events if "url" in event and event.get("initiator") not in NO_PAGE]
    return Opened(done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line], asked)


@pytest.mark.parametrize("width", [500, 1280])
def test_every_chart_is_drawn_and_nothing_is_asked_for(tmp_path: Path, width: int) -> None:
    file = tmp_path / "report.html"
    looks = [link(2, "uplink", 0.0, 7.0, 0.5), link(2, "uplink", 7.0, 14.0, 1.0)]
    file.write_text(page(record(tmp_path, ROUNDS, [*EVENTS, *looks])), encoding="utf-8")
    opened = browse(file, width)
    body = opened.dom.partition("<body>")[2].partition("<script>")[0]
    parts = re.split(r'<div id="(\w+)"', body)
    charts = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(charts) == ["time", "bytes", "energy", "losses", "utilisation", "timeline"]
    assert [name for name, drawn in charts.items() if 'class="main-svg"' not in drawn] == []
    assert [charts[name].count('class="trace scatter') for name in ("time", "bytes", "energy")] == [3, 3, 3]
    assert [charts[name].count('class="trace bars"') for name in ("losses", "timeline")] == [2, 3]
    assert 'class="hm"' in charts["utilisation"]
    assert max(map(int, re.findall(r'class="main-svg"[^>]* width="(\d+)[.\d]*"', body))) <= width
    assert opened.errors == []
    assert opened.asked == []


def test_a_page_that_fails_or_asks_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "asking.html"
    file.write_text("<img src='http://netfed.example/x.png'><script>nothing.here</script>")
    opened = browse(file)
    assert opened.asked == ["http://netfed.example/x.png"]
    assert "nothing is not defined" in opened.errors[0]
