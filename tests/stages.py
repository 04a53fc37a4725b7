"""Everything that CI runs, stage after stage, with the seconds that each took."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTEST = [sys.executable, "-m", "pytest", "-q"]
STAGES = {
    "lint": [[sys.executable, "-m", "ruff", "check"], [sys.executable, "-m", "ruff", "format", "--check"]],
    "types": [[sys.executable, "-m", "mypy"]],
    "tests": [
        [
            *PYTEST,
            "-n",
            "2",
            "-m",
            "not slow and not claim and not question and not benchmark",
            "--cov",
            "--cov-report=",
        ]
    ],
    "slow": [[*PYTEST, "-n", "2", "-m", "slow"]],
    "coverage": [[sys.executable, "-m", "coverage", "report", "--skip-covered", "--fail-under=90"]],
    "claims": [[*PYTEST, "-s", "-m", "claim", "--brief"]],
    "benchmarks": [[*PYTEST, "-s", "-m", "benchmark", "--brief"]],
}


def main() -> int:
    """Run the stages in order, all of them even if one fails; return 1 if any did."""
    seconds, failed = {}, []
    for name, commands in STAGES.items():
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        if sum(subprocess.run(command, cwd=ROOT, check=False).returncode != 0 for command in commands):
            failed.append(name)
        seconds[name] = time.monotonic() - start
    print("\n== seconds")
    for name, took in seconds.items():
        print(f"{name:<12}{took:8.1f}{'  FAILED' if name in failed else ''}")
    print(f"{'total':<12}{sum(seconds.values()):8.1f}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
