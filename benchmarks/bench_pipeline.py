"""The whole pipeline (read, decode, JPEG 50, QuantLoss, write) against the bare encoder, in images a second."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from common import keep, repeated

from iarbench.harness.execute import decide, execute
from iarbench.harness.plan import Settings
from iarbench.harness.planning import make_plan
from iarbench.images.image_set import ImageSet
from iarbench.models.loading import load_target
from iarbench.task import Task

COUNT, BATCH, ROUNDS = 2000, 64, 3
TASK = """
name: bench
version: 1
description: one target, one attack, one detector
targets: [llamagen-mini]
images: bench
real: [llamagen-mini]
preprocessing: exact
attacks: [jpeg50]
attacked: both
detectors: [quantloss]
encoders: [inverse]
fpr: [0.01]
primary: tpr_at_fpr
"""


def encoder_speed() -> float:
    """Images a second of ``tokenizer.encode`` on images that are in memory already."""
    tokenizer = load_target("llamagen-mini", "inverse").tokenizer
    tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stubs lack it
    images = torch.rand(BATCH, 64, 64, 3).permute(0, 3, 1, 2)  # channels last in memory, as the pipeline has them
    with torch.inference_mode():
        tokenizer.encode(images)
        start = time.perf_counter()
        for _ in range(COUNT // BATCH):
            tokenizer.encode(images)
    return COUNT // BATCH * BATCH / (time.perf_counter() - start)


def pipeline_speed(images: ImageSet, folder: Path, workers: int) -> float:
    """Images a second from the Parquet files to the stored scores."""
    (folder / "task.yaml").write_text(TASK)
    task = Task.load(str(folder / "task.yaml"))
    settings = decide(Settings(device="cpu", batch_size=BATCH, workers=workers))
    plan, root = make_plan(task, images, "bench", settings), folder / f"run-{workers}"
    jobs = plan.missing(root)
    start = time.perf_counter()
    execute(jobs, plan, root, settings, lambda _: None)
    return COUNT / (time.perf_counter() - start)


def plain_encoder_speed() -> float:
    """`encoder_speed` in a process of its own, which has not been told to keep freed memory as a run is."""
    done = subprocess.run([sys.executable, __file__, "encoder"], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    plain, tuned, pipeline = [], [], []
    with tempfile.TemporaryDirectory() as name:
        images = repeated(COUNT, Path(name) / "set")
        for number in range(ROUNDS):  # side by side, round by round: shared machines change their speed
            folder = Path(name) / str(number)
            folder.mkdir()
            plain.append(plain_encoder_speed())
            pipeline.append(pipeline_speed(images, folder, workers=0))
            tuned.append(encoder_speed())
    keep(
        "pipeline",
        {
            "images": COUNT,
            "rounds": ROUNDS,
            "encoder_images_per_second": [round(s, 1) for s in plain],
            "encoder_keeping_memory_images_per_second": [round(s, 1) for s in tuned],
            "pipeline_images_per_second": [round(s, 1) for s in pipeline],
            "ratio_pipeline_to_encoder": round(median(pipeline) / median(plain), 3),
            "ratio_pipeline_to_encoder_keeping_memory": round(median(pipeline) / median(tuned), 3),
        },
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["encoder"]:
        print(encoder_speed())
    else:
        main()
