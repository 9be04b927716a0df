"""How a run grows: planning, status, resuming and report from ten thousand to ten million stored scores, what several
processes gain, and what each launcher costs a part.

    python benchmarks/bench_scale.py                      the curve, then the processes
    python benchmarks/bench_scale.py --rows 10000 100000  other sizes
    python benchmarks/bench_scale.py --only processes     two processes against one; wants idle cores
    python benchmarks/bench_scale.py --only overhead      seconds that a part takes on each launcher

The scores are drawn from two normal distributions and the images are copies of one small picture with a number behind
it: what is measured is the bookkeeping, not a model. Every stage is a process of its own, whose peak memory is its own.
Results: benchmarks/results/scale.json.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROWS = [10_000, 100_000, 1_000_000, 10_000_000]
DETECTORS, ATTACKS = ("quantloss", "encloss", "reconstruction"), ("none", "jpeg50", "blur9", "noise0.05")
STAGES = ("plan", "status", "resume", "report")
RESULTS = Path(__file__).parent / "results" / "scale.json"

TASK = """\
name: scale
version: 1
targets: [toy-a]
images: {images}
real: [noise]
attacks: [{attacks}]
detectors: [{detectors}]
encoders: [original]
fpr: [0.01]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="stored scores")
    parser.add_argument("--only", choices=["curve", "processes", "overhead"])
    parser.add_argument("--stage", choices=["make", *STAGES], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--images", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        stage(args.stage, args.folder, args.images)
        return
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"benchmark": "scale"}
    if args.only in (None, "curve"):
        for rows in args.rows:  # each kept as soon as it is known: the largest takes long
            others = [one for one in found.get("curve", []) if one["rows"] != rows]
            found["curve"] = sorted([*others, curve(rows)], key=lambda one: one["rows"])
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    if args.only in (None, "processes"):
        found["processes"] = processes()
    if args.only in (None, "overhead"):
        found["seconds_per_part"] = overheads()
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def curve(rows: int) -> dict[str, Any]:
    """Seconds and peak memory of every stage, with so many stored scores."""
    images = rows // (len(DETECTORS) * len(ATTACKS))
    with tempfile.TemporaryDirectory() as name:
        told: dict[str, Any] = {"rows": rows, "images": images, **staged("make", Path(name), images)}
        for one in STAGES:
            told[one] = staged(one, Path(name), images)
            print(rows, one, told[one], flush=True)
    return told


def staged(name: str, folder: Path, images: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--stage", name, "--folder", str(folder), "--images", str(images)]
    environment = {**os.environ, "IARBENCH_GENERATORS": str(folder / "family"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def stage(name: str, folder: Path, images: int) -> None:
    if name == "make":
        print(json.dumps(make(folder, images)))
        return
    from iarbench.harness.launch.run_work import order_of, parts_of
    from iarbench.harness.launch.status import read_status
    from iarbench.harness.plan import Settings
    from iarbench.harness.run import prepare, recompute, run
    from iarbench.task import Task

    began, settings, root = time.monotonic(), Settings(device="cpu"), folder / "run"
    if name == "status":
        found = read_status(next((root / "work").iterdir()))
        assert found.is_done
    elif name == "report":
        recompute(root)
    else:
        plan = prepare(Task.load(str(folder / "scale.yaml")), settings, hashed=False)
        if name == "plan":
            order_of(plan, root, settings, "bench").write(parts_of(plan))
        else:
            assert not plan.missing(root)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    told = {"seconds": round(time.monotonic() - began, 2), "peak_mib": round(peak)}
    if name == "resume":
        run(plan, root, settings, None, "bench")  # for the next stage, which reads what a run has stored
    print(json.dumps(told))


def make(folder: Path, images: int) -> dict[str, Any]:
    """An image set of a third members and two thirds others, its task, and all scores, as a run would store them."""
    import numpy as np

    from iarbench.harness.plan import Settings
    from iarbench.harness.quality import measures
    from iarbench.harness.run import prepare
    from iarbench.harness.store import write_part
    from iarbench.task import Task
    from iarbench.testing import write_toy_family

    write_toy_family(folder / "family", {"toy-a": 0})
    write_set(folder / "images", images)
    text = TASK.format(images=folder / "images", attacks=", ".join(ATTACKS), detectors=", ".join(DETECTORS))
    (folder / "scale.yaml").write_text(text)
    plan = prepare(Task.load(str(folder / "scale.yaml")), Settings(device="cpu"), hashed=False)
    rng = np.random.default_rng(0)
    for job in plan.jobs:
        count = len(job.chunk)
        for cell in job.cells:
            scores = rng.normal(1.5 * (job.chunk.source == "toy-a"), 1.0, count).tolist()
            write_part(folder / "run", cell.part, {cell.detector.kind.name: scores}, [0.01] * count, "cpu")
    for one in measures(plan):
        values = rng.normal(30, 3, len(one.part.chunk)).tolist()
        write_part(folder / "run", one.part, {"psnr": values, "ssim": values}, [0.0] * len(values), "cpu")
    files = list(folder.rglob("*.parquet"))
    return {"parts": len(plan.parts), "disk_mib": round(sum(path.stat().st_size for path in files) / 2**20)}


def write_set(folder: Path, images: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    from iarbench.images.shards import FIELDS, schema

    file = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 120, 60)).save(file, "PNG")
    folder.mkdir()
    third, shard = images // 3, 10_000
    for number, start in enumerate(range(0, images, shard)):
        rows: dict[str, list[Any]] = {name: [] for name, _ in FIELDS}
        for place in range(start, min(start + shard, images)):
            source, split = ("toy-a", "test") if place < third else ("noise", "test" if place % 2 else "calibration")
            data = file.getvalue() + place.to_bytes(8, "big")  # what follows a PNG's end is no part of the picture
            image_id = f"{source}/{split}/{place:08}"
            known: dict[str, Any] = {"image": {"bytes": data, "path": f"{image_id}.png"}}
            known |= {"image_id": image_id, "group": image_id}
            known |= {"sha256": hashlib.sha256(data).hexdigest(), "source": source, "split": split, "condition": ""}
            known |= {"width": 16, "height": 16, "format": "PNG"}
            for name, values in rows.items():
                values.append(known.get(name))
        pq.write_table(pa.Table.from_pydict(rows, schema=schema()), folder / f"part-{number:05}.parquet")


def processes() -> dict[str, Any]:
    """What `make demo` runs, by one process of one thread and by two."""
    narrow = ["--detector", "quantloss", "--encoder", "inverse", "--device", "cpu", "--quiet"]
    told: dict[str, Any] = {"load_average": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as name:
        for jobs in (1, 2):
            told[f"local_{jobs}_seconds"] = timed(
                ["run", *narrow, "--launch", "local", "--jobs", str(jobs)], Path(name) / str(jobs)
            )
            shutil.rmtree(Path(name) / str(jobs))
        told["speed_up"] = round(told["local_1_seconds"] / told["local_2_seconds"], 2)
    return told


def overheads() -> dict[str, float]:
    """Seconds that a part of one small image takes on each launcher, all that it costs to begin apart. Ray and SLURM:
    clusters of this machine, started for this, where they can be."""
    found = {"none": overhead([]), "local": overhead(["--launch", "local", "--jobs", "1"])}
    for name, cluster in {"ray": ray_cluster, "slurm": slurm_cluster}.items():
        with ExitStack() as stack:
            try:
                options = stack.enter_context(cluster())
            except Exception as error:  # whatever it misses here
                print(f"{name}: not measured ({error})", flush=True)
                continue
            found[name] = overhead(["--launch", name, "--jobs", "1", *options])
    return found


def overhead(options: list[str], counts: tuple[int, int] = (10, 110)) -> float:
    """Seconds a part, from attacking two sets of images in parts of one."""
    from iarbench.images.image_set import ImageSet
    from iarbench.testing import toy_records

    seconds = []
    with tempfile.TemporaryDirectory() as name:
        for count in counts:
            images = Path(name) / str(count)
            ImageSet.write(toy_records(count, "noise", "test", seed=0), images)
            words = ["attack", "--images", str(images), "--attack", "none", *options, "--shard", "1"]
            seconds.append(timed(words, Path(name) / f"{count}-out"))
    each = round((seconds[1] - seconds[0]) / (counts[1] - counts[0]), 4)
    print(options or "no launcher", each, flush=True)
    return each


@contextmanager
def ray_cluster() -> Iterator[list[str]]:
    """A node of one core; the options that lead to it."""
    from ray.cluster_utils import Cluster

    cores = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=cores)
    try:
        yield ["--address", cluster.address]
    finally:
        cluster.shutdown()


@contextmanager
def slurm_cluster() -> Iterator[list[str]]:
    """The cluster of tests/cluster/slurm.sh, which needs root and Debian's slurm-wlm and munge."""
    script = Path(__file__).parents[1] / "tests" / "cluster" / "slurm.sh"
    if missing := [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]:
        raise RuntimeError(f"{missing[0]} is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # its daemons end in their own time
        try:
            subprocess.run([script, "start", folder, "2"], check=True)
            os.environ["SLURM_CONF"] = f"{folder}/slurm.conf"
            yield []
        finally:
            os.environ.pop("SLURM_CONF", None)
            subprocess.run([script, "stop", folder], check=False)


def timed(words: list[str], out: Path) -> float:
    began = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "iarbench", *words, "--out", str(out)], check=True, env=environment,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    return round(time.monotonic() - began, 2)


if __name__ == "__main__":
    main()
