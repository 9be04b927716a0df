"""Peak memory of a run over 1,000 and over 20,000 images; each in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

COUNTS = (1000, 20000)


def measure(count: int) -> None:
    """Run the pipeline over ``count`` images and print this process's peak resident memory in MB."""
    from bench_pipeline import TASK
    from common import repeated

    from iarbench.harness.execute import decide, execute
    from iarbench.harness.plan import Settings
    from iarbench.harness.planning import make_plan
    from iarbench.task import Task

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "task.yaml").write_text(TASK)
        images = repeated(count, folder / "set")
        settings = decide(Settings(device="cpu", workers=0))
        plan = make_plan(Task.load(str(folder / "task.yaml")), images, "bench", settings)
        execute(plan.missing(folder), plan, folder, settings, lambda _: None)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    from common import keep

    peaks = {}
    for count in COUNTS:
        done = subprocess.run([sys.executable, __file__, str(count)], capture_output=True, text=True, check=True)
        peaks[count] = round(float(done.stdout.split()[-1]), 1)
    keep("memory", {"peak_mb": peaks, "ratio": round(peaks[COUNTS[1]] / peaks[COUNTS[0]], 3)})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        main()
