"""What a terminal shows: aligned, 80 columns at most, in units that people use."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from netfed.display import ProgressLine, listing, progress_line, summary
from netfed.manifest import Manifest
from netfed.progress import Progress
from netfed.results import Headline, Results

PROGRESS = Progress(12, 30, 843.0, ("accuracy", 0.8125), bits=67_200_000, lost=31, trained=200, torch_s=7.0)

OUTCOME: dict[str, Any] = {
    "rounds": 30,
    "sim_time_s": 2472.0,
    "metric": {"name": "accuracy", "first": 0.702, "last": 0.871, "best": 0.874},
    "references": {"pretrained": 0.702, "central": 0.912, "local": 0.811},
    "bits": {"up": 98_400_000, "down": 196_800_000, "backhaul": 295_200_000, "lost": 9_600_000},
    "energy_j": 1940.0,
    "energy_parts_j": {"compute": 1200.0, "transmit": 500.0, "receive": 200.0, "idle": 40.0, "cloud": 3000.0},
    "updates": {"selected": 1170, "arrived": 780, "late": 210, "lost": 100, "dismissed": 80},
    "losses": {"late": 210, "dismissed": 80, "loss-uplink": 60, "dropout-compute": 40},
    "jobs": {"planned": 1170, "trained": 700, "reused": 80, "skipped": 390},
    "reference_jobs": 101,
    "torch_s": 62.0,
    "wall_s": 38.2,
    "digest": "d" * 64,
    "model_digest": "e" * 64,
}


def results(outcome: dict[str, Any] | None, **status: Any) -> Results:
    manifest = Manifest(1, "quickstart-3fa2c1", "fedavg", 1, "", None)
    rounds: dict[str, list[Any]] = {"accuracy": [0.702, 0.75, None, 0.8, float("nan"), 0.874, 0.871]}
    return Results(Path("runs/quickstart-3fa2c1"), manifest, status, outcome, rounds)


def test_a_finished_run_is_read_against_its_reference_lines() -> None:
    assert summary(results(OUTCOME)).splitlines() == [
        "quickstart-3fa2c1 · fedavg · seed 1",
        "",
        "accuracy",
        "  central    0.912  ━━━━━━━━━━━━━━━━━━━━  fedavg is 4.1 points below",
        "  fedavg     0.871  ━━━━━━━━━━━━━━━━━━━   first 0.702, best 0.874",
        "  local      0.811  ━━━━━━━━━━━━━━━━━━    fedavg is 6.0 points above",
        "  pretrained 0.702  ━━━━━━━━━━━━━━━       fedavg is 16.9 points above",
        "by round     ▁▃▅██",
        "",
        "time         41 min 12 s simulated in 30 rounds; 38 s to compute, 1 min 02 s CPU",
        "sent         12.3 MB up, 24.6 MB down, 36.9 MB backhaul; of this 1.2 MB in vain",
        "energy       1.94 kJ: 1.2 kJ compute, 500 J transmit, 200 J receive, 40 J idle",
        "cloud        3 kJ",
        "updates      1170 selected: 780 arrived, 210 late, 100 lost, 80 dismissed",
        "lost to      60 loss-uplink, 40 dropout-compute",
        "trainings    1170 planned: 700 trained, 390 skipped, 80 reused",
        "digest       dddddddddddddddd, final model eeeeeeeeeeeeeeee",
    ]


def test_where_nothing_was_computed_no_cpu_time_is_told() -> None:
    (time,) = [line for line in summary(results({**OUTCOME, "torch_s": 0.0})).splitlines() if line.startswith("time")]
    assert time == "time         41 min 12 s simulated in 30 rounds; 38 s to compute"


def test_where_nothing_is_evaluated_the_metric_is_not_told() -> None:
    progress = replace(PROGRESS, metric=("accuracy", None))
    assert progress_line(progress, None) == "12/30 · t 14 min 03 s · 8.4 MB · 31 lost"
    under_way = results(None, state="stopped", error="", progress=asdict(progress))
    assert "accuracy" not in summary(replace(under_way, rounds={"accuracy": [None]}))
    (_, line) = listing([Headline(Path("runs/a"), "running", "fedavg", 1, progress)]).splitlines()
    assert line.split() == ["a", "running", "fedavg", "1", "12/30", "-", "14", "min", "03", "s", "8.4", "MB"]


def test_an_unfinished_run_shows_how_far_it_came_and_why_it_ended() -> None:
    progress = asdict(replace(PROGRESS, bits=8e6, lost=3))
    text = summary(results(None, state="failed", error="diverged: the loss is nan", progress=progress))
    assert text.splitlines() == [
        "quickstart-3fa2c1 · fedavg · seed 1",
        "",
        "state        failed",
        "because      diverged: the loss is nan",
        "round        12 of 30",
        "time         14 min 03 s simulated",
        "accuracy     0.812",
        "sent         1 MB up and down",
        "lost         3 updates",
        "by round     ▁▃▅██",
    ]
    begun = summary(results(None, state="failed", error="x", progress={}))
    assert begun.splitlines()[2:] == ["state        failed", "because      x"]


@pytest.mark.parametrize(
    "change",
    [
        {
            "metric": {"name": "perplexity", "first": 900.0, "last": 31.25, "best": 30.0},
            "references": {"central": 20.0},
        },
        {"references": {}, "losses": {}, "energy_parts_j": {}},
        {"losses": {f"a-rather-long-cause-{i}": i for i in range(12)}},
        {"bits": dict.fromkeys(("up", "down", "backhaul", "lost"), 10**18), "energy_j": 1e12, "sim_time_s": 1e7},
    ],
)
def test_a_summary_never_exceeds_80_columns(change: dict[str, Any]) -> None:
    lines = summary(results({**OUTCOME, **change})).splitlines()
    assert max(map(len, lines)) <= 80
    assert "nan" not in "\n".join(lines)


def test_rounds_without_updates_and_what_was_quarantined_are_told() -> None:
    text = summary(results({**OUTCOME, "rounds_without_updates": 2, "quarantined": {"failed": 1, "huge": 3}}))
    assert "41 min 12 s simulated in 30 rounds, of which 2 brought no update;" in text
    assert "quarantined  3 huge, 1 failed" in text.splitlines()
    assert "quarantined" not in summary(results({**OUTCOME, "rounds_without_updates": 0, "quarantined": {}}))


def test_lines_are_not_broken_between_an_amount_and_what_it_is() -> None:
    losses = {"loss-uplink": 1000, "loss-downlink": 900, "dropout-download": 800, "dropout-compute": 700}
    lines = summary(results({**OUTCOME, "losses": losses})).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("lost to"))
    assert lines[start : start + 2] == [
        "lost to      1000 loss-uplink, 900 loss-downlink, 800 dropout-download,",
        "             700 dropout-compute",
    ]


def test_a_run_that_measured_nothing_stands_below_its_reference_lines() -> None:
    metric = {"name": "accuracy", "first": None, "last": None, "best": None}
    assert summary(results({**OUTCOME, "metric": metric})).splitlines()[3:7] == [
        "  central    0.912  ━━━━━━━━━━━━━━━━━━━━",
        "  local      0.811  ━━━━━━━━━━━━━━━━━━",
        "  pretrained 0.702  ━━━━━━━━━━━━━━━",
        "  fedavg         -                        first -, best -",
    ]


def test_progress_says_round_time_metric_bytes_losses_and_what_is_left() -> None:
    assert progress_line(PROGRESS, 21.0) == "12/30 · t 14 min 03 s · accuracy 0.812 · 8.4 MB · 31 lost · 21 s left"
    assert progress_line(replace(PROGRESS, version=30), 0.0).endswith("31 lost")


def test_without_a_terminal_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    with ProgressLine() as line:
        for version in range(31):
            line(replace(PROGRESS, version=version))
            now_s += 1.0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [text.split(" ")[0] for text in shown.err.splitlines()] == [
        "5/30",
        "10/30",
        "15/30",
        "20/30",
        "25/30",
        "30/30",
    ]
    assert shown.err.splitlines()[1].endswith("20 s left")


def test_on_a_terminal_progress_moves_in_place_and_obeys_no_color(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    with ProgressLine() as line:
        line(PROGRESS)
        line(replace(PROGRESS, version=13))
    shown = capsys.readouterr().err
    assert "13/30" in shown
    assert "\x1b[38" not in shown
    assert "\x1b[32m" not in shown
