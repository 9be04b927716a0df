"""From typing a command to its result, beside a bare ``import torch``: wall seconds, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from common import keep

ROUNDS = 3
IARBENCH = [sys.executable, "-m", "iarbench"]


def seconds(command: list[str], folder: Path) -> float:
    """Wall time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def commands(number: int) -> dict[str, list[str]]:
            run = [*IARBENCH, "run", "--limit", "20", "--detector", "quantloss", "--encoder", "inverse"]
            run += ["--attack", "none,jpeg50", "--out", str(folder / f"run-{number}")]
            return {
                "import_torch": [sys.executable, "-c", "import torch"],
                "help": [*IARBENCH, "--help"],
                "ls": [*IARBENCH, "ls"],
                "run_20": run,
                "run_20_again": run,  # finished: prints its table
            }

        # the first round fills the file cache and does not count
        found = [{key: seconds(c, folder) for key, c in commands(number).items()} for number in range(ROUNDS + 1)][1:]
    middle = {key: median(one[key] for one in found) for key in found[0]}
    keep(
        "first_result",
        {
            "rounds": ROUNDS,
            "seconds": {key: round(value, 3) for key, value in middle.items()},
            "ratio_to_import_torch": {k: round(v / middle["import_torch"], 2) for k, v in middle.items()},
        },
    )


if __name__ == "__main__":
    main()
