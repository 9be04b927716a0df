"""The whole pipeline (read, decode, JPEG 50, QuantLoss, write) against the bare encoder, in images a second."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from common import keep, repeated

from iarbench.harness.execute import decide, execute
from iarbench.harness.plan import Settings, make_plan
from iarbench.images import ImageSet
from iarbench.loading import load_target
from iarbench.task import Task

COUNT, BATCH = 3000, 64
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
    tokenizer = load_target("llamagen-mini", "inverse").tokenizer.to(memory_format=torch.channels_last)
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


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = repeated(COUNT, folder / "set")
        plain = encoder_speed()
        speeds = {workers: pipeline_speed(images, folder, workers) for workers in (0, 1, 2)}
        tuned = encoder_speed()  # `execute` has told this process to keep freed memory
    best = max(speeds.values())
    keep(
        "pipeline",
        {
            "images": COUNT,
            "encoder_images_per_second": round(plain, 1),
            "encoder_keeping_memory_images_per_second": round(tuned, 1),
            **{f"pipeline_{w}_workers_images_per_second": round(s, 1) for w, s in speeds.items()},
            "ratio_pipeline_to_encoder": round(best / plain, 3),
            "ratio_pipeline_to_encoder_keeping_memory": round(best / tuned, 3),
        },
    )


if __name__ == "__main__":
    main()
