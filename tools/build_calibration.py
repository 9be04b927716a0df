"""Scores the packaged set's non-members and the minis' own images for `iarbench trace`: its first answer takes seconds.

    python tools/build_calibration.py

Run it again whenever the packaged set, a mini or `quantloss` changes; a test says when.
"""

from __future__ import annotations

import shutil

from iarbench.content import calibration_path
from iarbench.harness.plan import Settings
from iarbench.harness.trace import make_tracer
from iarbench.task import Task

ALPHA = 0.05


def main() -> None:
    """Write the scores anew."""
    shutil.rmtree(calibration_path(), ignore_errors=True)
    task = Task.load("mini").narrowed(detectors=["quantloss"])
    make_tracer(task, None, ALPHA, calibration_path(), Settings(device="cpu"), members=True)


if __name__ == "__main__":
    main()
