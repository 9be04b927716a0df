"""``iarbench trace … --out TABLE``: many images into one table, in this process or in many, resumable."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.commands.launch_options import launch
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.harness.plan import Settings
    from iarbench.task import Task


def execute(args: argparse.Namespace) -> int:
    """Trace every image into the table; 1 when some could not be read."""
    from iarbench.files import sha256_file
    from iarbench.harness.launch.order import Order, command_line
    from iarbench.harness.launch.set_work import make_shards, require_ours
    from iarbench.harness.launch.status import hidden_place
    from iarbench.harness.launch.trace_work import INPUTS, join_parts, list_parts, write_inputs
    from iarbench.images.inputs import batches

    out, engine, settings = args.out, launch(args), options.settings(args)
    if out.exists():
        raise UserError(f"{out}: already exists; choose another file or delete it")
    options.require_new_file(out, "--out")
    task = trace_task(args)
    _calibrate(args, task, settings)
    place, problems = hidden_place(out), list[str]()
    listed = place / ".inputs"
    count = write_inputs(listed, batches(args.images, problems.append))
    for problem in problems:
        options.say(f"error: {problem}")
    asked = {
        "task": task.record().model_dump(mode="json"),
        "encoder": args.encoder,
        "alpha": args.alpha,
        "precision": args.precision,
        "calibration": args.calibration and str(args.calibration.resolve()),
        "inputs": sha256_file(listed),
    }
    how = {
        "device": args.device,
        "batch_size": args.batch_size,
        "weights_dir": args.weights and str(args.weights),
    }
    order = Order.here(place, "trace", asked, how, command_line())
    require_ours(order)
    if not count:
        shutil.rmtree(place)
        return 1
    os.makedirs(order.folder, exist_ok=True)
    os.replace(listed, order.folder / INPUTS)
    parts = list(list_parts(order.place, order.folder / INPUTS))
    make_shards(order, parts, engine, args.device, None if args.quiet else sys.stderr, "tracing")
    summary = join_parts(order, parts, task.spec.targets, out)
    shutil.rmtree(place, ignore_errors=True)
    for problem in summary.problems:
        options.say(f"error: {problem}")
    print(options.table([["answer", "images"], *([name, str(found)] for name, found in summary.answers.items())]))
    options.say(f"{out}: a row for each of {sum(summary.answers.values()) + summary.unreadable} images", args.quiet)
    if summary.unreadable:
        options.say(f"error: {summary.unreadable} images cannot be read; the column `problem` says why")
    return 1 if problems or summary.problems or summary.unreadable else 0


def trace_task(args: argparse.Namespace) -> Task:
    """The task whose targets and known images are compared with: --task, or that of the run that calibrates."""
    from iarbench.harness import manifest as manifests
    from iarbench.task import Task

    task = Task.load(args.task or "mini")
    if args.calibration is not None:
        manifest = manifests.read(args.calibration)
        if manifest is None or manifest.status != "finished":
            raise UserError(
                f"--calibration {args.calibration}: not a finished run; give the --out of an `iarbench run`"
            )
        task = Task.restore(manifest.task)
    encoders = [args.encoder] if args.encoder else None
    targets = options.names(args.target)
    return task.narrowed(targets=targets, detectors=[args.detector], encoders=encoders).aligned(args.align)


def _calibrate(args: argparse.Namespace, task: Task, settings: Settings) -> None:
    """Find out here, once, what is known of other images: processes that go on elsewhere find it in the cache."""
    from iarbench.files import cache_dir, require_writable

    if args.calibration is None:
        from iarbench.harness.trace import calibrate

        require_writable(cache_dir(), "IARBENCH_CACHE")
        calibrate(task, args.encoder, cache_dir() / "trace", settings, None if args.quiet else sys.stderr)
