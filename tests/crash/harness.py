"""Kill a run with SIGKILL, again and again, and resume it: ``python harness.py SCENARIO FOLDER MOMENTS [SIDE ...]``.

At so many moments spread over it, and at these sides (before, after) of each rename.

Plays once and forks for each attempt, so that an attempt costs a fraction of a second. Prints one JSON object.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import torch

import netfed.run
from netfed.learning.trainer import Trainer
from netfed.run import begin, play
from netfed.runfolder import RunFolder
from netfed.scenario import load

torch.set_num_threads(1)
netfed.run.COMMIT_EVERY_S = 0.0  # a commit for each window: more renames to die at
os.fsync = lambda descriptor: None  # a kill, unlike a power cut, loses nothing that was written
scenario_file, work, moments = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
scenario = load(scenario_file)
trained = mmap.mmap(-1, 8)
train, train_together = Trainer.train, Trainer.train_together


def note(count: int) -> None:
    trained[:8] = struct.pack("q", struct.unpack("q", trained[:8])[0] + count)


def counting_train(*args):
    delta = train(*args)
    note(1)
    return delta


def counting_train_together(*args):
    deltas = train_together(*args)
    note(len(deltas))
    return deltas


Trainer.train, Trainer.train_together = counting_train, counting_train_together


def start(out: Path) -> None:
    with begin(scenario, scenario_file.read_text(), out) as folder:
        play(folder)


def go_on(run: Path) -> None:
    with RunFolder.reopen(run) as folder:
        play(folder)


def forked(act: Callable[[], None], kill_after_s: float | None = None) -> int:
    """Run ``act`` in a child and return its exit status; negative: the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(status)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_at(rename: int, after: bool, out: Path) -> Callable[[], None]:
    """Return a start that kills its process on one side of its n-th rename."""

    def dying() -> None:
        seen, replace = 0, os.replace

        def replace_or_die(*args, **kwargs) -> None:
            nonlocal seen
            seen += 1
            if seen == rename and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*args, **kwargs)
            if seen == rename:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace_or_die
        start(out)

    return dying


def the_run(out: Path) -> Path | None:
    return next((path for path in out.glob("[!.]*") if (path / "manifest.json").exists()), None)


def summary(run: Path) -> dict:
    return json.loads((run / "summary.json").read_text())


start(work / "warm")  # what a process does once only, it does here
trained[:8] = struct.pack("q", 0)
began = time.monotonic()
assert forked(lambda: start(work / "whole")) == 0
duration_s = time.monotonic() - began
whole = summary(the_run(work / "whole"))
undisturbed = struct.unpack("q", trained[:8])[0]

attempts = []


def attempt(name: str, act: Callable[[Path], Callable[[], None]], kill_after_s: float | None = None) -> bool:
    """Kill once, resume, note what came out; return whether the kill struck."""
    out = work / name
    trained[:8] = struct.pack("q", 0)
    status = forked(act(out), kill_after_s)
    run = the_run(out)
    if run is None:
        attempts.append({"name": name, "status": status, "folder": False})
        return status != 0
    before = struct.unpack("q", trained[:8])[0]
    resumed = forked(lambda: go_on(run))
    after = struct.unpack("q", trained[:8])[0]
    result = {"name": name, "status": status, "resumed": resumed, "before": before, "trained": after, "folder": True}
    if resumed == 0:
        result |= {key: summary(run)[key] for key in ("digest", "model_digest", "jobs")}
    attempts.append(result)
    return status != 0


for i in range(moments):
    attempt(f"moment-{i}", lambda out: partial(start, out), duration_s * (i + 0.5) / moments)
for side in sys.argv[4:]:
    for rename in count(1):
        if not attempt(f"{side}-{rename}", partial(dying_at, rename, side == "after")):
            break
print(json.dumps({"whole": whole, "undisturbed": undisturbed, "duration_s": duration_s, "attempts": attempts}))
