"""Commands on a busy machine: beside neighbours that use every core, and alone.

    python benchmarks/bench_busy.py [--neighbours N]

With as many busy neighbours as cores a fair share is half of the machine; threads that wait for each other by spinning
make it a tenth. `spinning` is the same with OMP_WAIT_POLICY=ACTIVE, as OpenMP has it by default for a while.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from common import keep

COMMANDS = {
    "run": "run --target llamagen-mini --detector quantloss --encoder inverse --attack none,jpeg50 --device cpu",
    "generate": "generate --generator var-mini --count 60 --device cpu",
    "trace": "trace PICTURE --detector encloss --target llamagen-mini --device cpu --quiet",
}


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Meanwhile so many processes compute without a pause."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def seconds(line: str, picture: Path, variables: Mapping[str, str]) -> float:
    """How long a command takes from scratch: the better one of two."""
    times = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as scratch:
            words = line.replace("PICTURE", str(picture)).split()
            if words[0] != "trace":
                words += ["--out", f"{scratch}/out"]
            told = {**os.environ, "IARBENCH_CACHE": f"{scratch}/cache", **variables}
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "iarbench", *words], env=told, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Measure and keep."""
    options = argparse.ArgumentParser()
    options.add_argument("--neighbours", type=int, default=os.cpu_count() or 1)
    count = options.parse_args().neighbours
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        from PIL import Image

        Image.effect_noise((64, 64), 60).convert("RGB").save(picture)
        for name, line in COMMANDS.items():
            quiet = seconds(line, picture, {})
            with neighbours(count):
                busy = seconds(line, picture, {})
                spinning = seconds(line, picture, {"OMP_WAIT_POLICY": "ACTIVE"})
            row = {"command": name, "neighbours": count, "quiet_s": round(quiet, 1), "busy_s": round(busy, 1)}
            rows.append({**row, "times_as_long": round(busy / quiet, 2), "spinning_s": round(spinning, 1)})
            print(rows[-1], flush=True)
    keep("busy", {"commands": rows})


if __name__ == "__main__":
    main()
