"""``iarbench status``: how far a command is that runs, here or on other machines."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.harness.launch.status import Status

EXAMPLES = """  iarbench status runs/mini
  iarbench status runs/mini --watch
  iarbench status flagged.parquet --json

It reads the folder alone, so that it works on every machine that sees the folder, whoever computes. Exit status 1 when
some parts failed three times and were set aside, or when nobody can go on.
"""
FINISHED = "finished"
EVERY = 5.0
"""Seconds between two looks of --watch."""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Say what is done, what is running, what failed and why, how fast it goes and how long it will take."
    parser = options.add_command(subparsers, "status", "how far is a command that runs?", description, EXAMPLES)
    parser.add_argument("path", type=Path, metavar="OUT", help="the --out of the command")
    parser.add_argument("--watch", action="store_true", help="look again every 5 s until it is done")
    parser.add_argument("--json", action="store_true", help="a JSON object for each command that fills the folder")


def execute(args: argparse.Namespace) -> int:
    """Look once, or until all is done; 1 when something failed for good."""
    from iarbench.harness.launch.status import under_way

    while True:
        found, state = under_way(args.path), _state(args.path)
        if not found and not state:
            raise UserError(f"{args.path}: nothing here, finished or under way; give the --out of a command")
        for one in found:
            print(json.dumps(one.dump()) if args.json else "\n".join(_lines(one)), flush=True)
        if not found:
            print(json.dumps({"state": state}) if args.json else f"{args.path}: {state}", flush=True)
        ended = all(one.is_done or one.stopped for one in found) if found else state == FINISHED
        if ended or not args.watch:
            return 1 if any(one.stopped or any(f.set_aside for f in one.failed) for one in found) else 0
        time.sleep(EVERY)


def _state(path: Path) -> str:
    """What a command has left there, beside the parts under way: a run, an image set, or a table; "" for nothing."""
    manifest = path / "manifest.json"
    if manifest.is_file():
        try:
            finished = json.loads(manifest.read_text(encoding="utf-8")).get("status") == FINISHED
        except (ValueError, AttributeError):
            finished = False
        return FINISHED if finished else "begun; planning, or computing its results, or stopped there"
    return FINISHED if path.is_file() or any(path.glob("*.parquet")) else ""


def _lines(status: Status) -> list[str]:
    from iarbench.progress import duration

    speed = status.images_per_second
    lines = [
        status.command,
        f"parts      {status.parts_done} of {status.parts} done",
        f"images     {status.images_done} of {status.images}"
        + (f", {speed:.3g} images/s" if speed else "")
        + (f", {duration(status.seconds_left)} left" if status.seconds_left is not None else ""),
        f"running    {len(status.running)} process{'' if len(status.running) == 1 else 'es'}",
    ]
    lines += [f"  {one.process}  {one.part}" for one in status.running]
    if status.failed:
        lines.append(f"failed     {sum(one.parts for one in status.failed)} parts")
    for one in status.failed:
        aside = f", {one.set_aside} set aside" if one.set_aside else ""
        lines.append(f"  {one.parts} part{'' if one.parts == 1 else 's'}{aside}, such as {one.first}: {one.reason}")
    lines += [f"note       {note}" for note in status.notes]
    if status.stopped:
        lines.append(f"stopped    {status.stopped}")
    return lines
