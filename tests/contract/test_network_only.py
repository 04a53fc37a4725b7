"""Everything that is done with a run is done with one in which nothing is learned, without PyTorch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netfed.progress import Progress
from tests.commands import Done, environment, netfed
from tests.conftest import NOTHING


class Shell:
    """Runs commands in a folder with a network-only scenario; to import PyTorch fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "barred").mkdir()
        (folder / "barred/torch.py").write_text("raise ImportError('PyTorch is barred')\n")
        (folder / "n.yaml").write_text(NOTHING)

    def __call__(self, *arguments: object) -> Done:
        variables = environment()
        variables["PYTHONPATH"] = f"{self.folder / 'barred'}{os.pathsep}{variables['PYTHONPATH']}"
        done = netfed(*arguments, cwd=self.folder, env=variables)
        assert "barred" not in done.err, done.err
        return done


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_the_bar_holds(shell: Shell) -> None:
    with pytest.raises(AssertionError, match="PyTorch is barred"):
        shell("run", "minimal", "--short")


@pytest.mark.parametrize(
    "scheme",
    [
        "{kind: fedavg, rounds: 3, cohort: 4}",
        "{kind: fedbuff, aggregations: 3, concurrency: 4, buffer: 2}",
        "{kind: fedasync, aggregations: 3, concurrency: 4, alpha: 0.5}",
        "{kind: hierarchical, rounds: 2, cohort: 4, edge_rounds: 2}",
    ],
)
def test_it_runs_and_comes_out_the_same_again(shell: Shell, scheme: str) -> None:
    result = shell("run", "n.yaml", "--set", f"scheme={scheme}", "--json").json
    assert result["state"] == "finished"
    assert result["metric"]["last"] is result["model_digest"] is None
    rerun = shell("verify", result["run"], "--rerun", "--json").json["rerun"]
    assert rerun["digests"] == {"digest": [result["digest"]] * 2, "model_digest": [None, None]}


def test_the_forecast_is_what_the_run_tells(shell: Shell) -> None:
    foreseen = shell("run", "n.yaml", "--dry-run", "--json").json
    result = shell("run", "n.yaml", "--json").json
    shared = foreseen.keys() & result.keys()
    assert {"sim_time_s", "bits", "energy_j", "updates", "losses", "rounds"} <= shared
    assert all(foreseen[name] == result[name] for name in shared - {"wall_s"})
    assert foreseen["trainings"] == {"pretrained": 0, "update": 0, "reference": 0}
    assert foreseen["wall_s"] < 5


def test_a_run_that_was_cut_off_goes_on_to_the_same_rows(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from netfed.run import begin, play
    from netfed.scenario import load

    def cut_off(progress: Progress) -> None:
        if progress.version == 2:
            raise OSError("the power is gone")

    whole = shell("run", "n.yaml", "--json").json
    monkeypatch.setattr("netfed.run.COMMIT_EVERY_S", 0.0)
    with begin(load(shell.folder / "n.yaml"), NOTHING, shell.folder / "runs") as folder:
        with pytest.raises(OSError, match="the power is gone"):
            play(folder, watch=cut_off)
        assert 0 < folder.manifest.files["rounds.jsonl"].rows < 4
    resumed = shell("resume", folder.path, "--json").json
    assert resumed["digest"] == whole["digest"]


def test_it_is_shown_listed_watched_reported_and_checked(shell: Shell) -> None:
    run = shell("run", "n.yaml", "--json").json["run"]
    shown = shell("show", run)
    assert shown.code == 0
    assert "accuracy" not in shown.out
    assert "trainings" not in shown.out
    assert "CPU" not in shown.out
    assert "digest" in shown.out
    assert "accuracy" not in shell("ls").out
    assert shell("watch", run).code == 0
    assert shell("report", run).code == 0
    assert "evaluated" not in Path(shell.folder, run, "report.html").read_text().partition("<script>")[0]
    for verb in ("check", "config"):
        assert shell(verb, "n.yaml").code == 0
