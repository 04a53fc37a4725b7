"""Everything that CI runs, stage after stage, with the seconds that each took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # what a process compiles, the many others need not
PYTEST = [sys.executable, "-m", "pytest", "-q"]
BY_TWO = ["-n", "2", "--dist", "worksteal"]  # what a module's tests share is then mostly made by one of the two only
FAST = ["-m", "not slow and not claim and not question and not benchmark"]


def only(marker: str) -> list[str]:
    """Select the tests of a marker, and spare pytest the import of files without any."""
    files = [str(path) for path in sorted(ROOT.glob("tests/**/test_*.py")) if f"mark.{marker}" in path.read_text()]
    return ["-m", marker, *files]


STAGES = {
    "lint": [[sys.executable, "-m", "ruff", "check"], [sys.executable, "-m", "ruff", "format", "--check"]],
    "types": [[sys.executable, "-m", "mypy"]],
    "tests": [
        [*PYTEST, *BY_TWO, *FAST, "tests/unit", "--cov", "--cov-report="],
        [*PYTEST, *BY_TWO, *FAST, "--ignore", "tests/unit"],
    ],
    "slow": [[*PYTEST, *BY_TWO, *only("slow")]],
    "coverage": [[sys.executable, "-m", "coverage", "report", "--skip-covered", "--fail-under=90"]],
    "claims": [[*PYTEST, "-s", "--brief", *only("claim")]],
    "benchmarks": [[*PYTEST, "-s", "--brief", *only("benchmark")]],
}


def main() -> int:
    """Run the stages in order, all of them even if one fails; return 1 if any did."""
    seconds, failed = {}, []
    for name, commands in STAGES.items():
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        if sum(subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=False).returncode != 0 for command in commands):
            failed.append(name)
        seconds[name] = time.monotonic() - start
    print("\n== seconds")
    for name, took in seconds.items():
        print(f"{name:<12}{took:8.1f}{'  FAILED' if name in failed else ''}")
    print(f"{'total':<12}{sum(seconds.values()):8.1f}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
