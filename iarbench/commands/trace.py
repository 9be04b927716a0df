"""``iarbench trace``: which of the known generators made these images, if any."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.commands import options
from iarbench.commands.launch_options import add_launch
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.harness.trace import Picture, Together, Traced

EXAMPLES = """  iarbench trace picture.png
  iarbench trace downloads/ more/*.png
  iarbench trace uploads/ --out flagged.parquet --launch local --jobs 2      a table, resumable, also on SLURM and Ray
  iarbench trace picture.png --detector quantloss --target llamagen-mini --alpha 0.01

Each image has a line: the answer, which holds with an error of --alpha over all generators together, and the adjusted
p-value: how often at most an image of none of them would look so much like one of theirs. Under several images stands
what they say together: what share of them is a generator's, with a 95 % interval, and an e-value, evidence that at
least one of them is (docs/statistics.md). Calibration scores of `quantloss` come with the package; for another detector
the first call scores the calibration images and keeps their scores in $IARBENCH_CACHE (default ~/.cache/iarbench).
"""

AT_ONCE = 16
"""Files that are read and scored together."""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Say which known generator made an image, with calibrated p-values, or that none of them did."
    parser = options.add_command(subparsers, "trace", "which generator made this image?", description, EXAMPLES)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files and folders of them")
    parser.add_argument("--task", help="whose targets and calibration images; default: mini")
    parser.add_argument("--target", action="append", metavar="NAME", help="only these generators")
    parser.add_argument("--detector", default="quantloss", metavar="NAME", help="default: quantloss")
    parser.add_argument("--encoder", metavar="NAME", help="of `iarbench ls generators`; default: inverse if there")
    parser.add_argument("--alpha", type=options.rate, default=0.05, help="chance of naming any generator wrongly")
    options.add_align(parser)
    options.add_compute(parser)
    parser.add_argument("--json", action="store_true", help="a JSON object per image, then one for all together")
    parser.add_argument("--quiet", action="store_true", help="no progress, no notes")
    table = parser.add_argument_group("many images, into a table")
    help = (
        "write a Parquet file with a row per image; images may also be Parquet, an image set or hf:owner/name@revision"
    )
    table.add_argument("--out", type=Path, metavar="FILE", help=help)
    help = "a finished `iarbench run` whose stored scores set the thresholds, in place of --task"
    table.add_argument("--calibration", type=Path, metavar="RUN", help=help)
    add_launch(parser)


def execute(args: argparse.Namespace) -> int:
    """Trace every file; 1 when some could not be read."""
    from iarbench.commands import trace_table

    if args.out is not None:
        return trace_table.execute(args)
    for name in ("calibration", "launch", "jobs", "slurm", "address"):
        if getattr(args, name) is not None:
            raise UserError(f"--{name} needs --out FILE, the table to write")
    from iarbench.files import cache_dir, require_writable
    from iarbench.harness.trace import make_tracer
    from iarbench.images.picture_files import find_pictures
    from iarbench.models import variants
    from iarbench.progress import Progress

    settings, stream = options.settings(args), None if args.quiet else sys.stderr
    task = trace_table.trace_task(args)
    for name in task.spec.targets:
        variants.get(name)
    require_writable(cache_dir(), "IARBENCH_CACHE")
    files, errors, notes = find_pictures(args.images)
    for note in notes:
        options.say(f"note: {note}", args.quiet)
    for error in errors:
        options.say(f"error: {error}")
    reading = _Reading(files, len(errors))
    chunks = iter(reading)
    first = next(chunks, [])  # what cannot be read is said before calibration
    if not first and reading.done == len(files):
        return 1
    several = len(files) > 1
    tracer = make_tracer(task, args.encoder, args.alpha, cache_dir() / "trace", settings, stream, members=several)
    with Progress("tracing", len(files), stream=stream if len(files) > AT_ONCE else None) as bar:
        found = tracer.trace(first)
        bar.show(reading.done)
        for pictures in chunks:
            found += tracer.trace(pictures)
            bar.show(reading.done)
    distinct = [traced for traced in found if traced.path not in reading.copies]
    together = tracer.together(distinct) if len(distinct) > 1 else []
    (_print_json if args.json else _print)(found, together, args.alpha)
    for note in [] if args.json else _gathered(found):
        options.say(f"note: {note}", args.quiet)
    if together and reading.copies:
        options.say(
            f"note: {len(reading.copies)} copies of other files count once in what all say together", args.quiet
        )
    return 1 if reading.failed else 0


class _Reading:
    """Pictures of files, some at a time; a file that cannot be read is said at once and counted in `failed`."""

    def __init__(self, files: Sequence[str], failed: int) -> None:
        self.files, self.failed, self.done = files, failed, 0
        self.copies: set[str] = set()
        """Files whose content was seen before."""
        self._seen: set[str] = set()

    def __iter__(self) -> Iterator[list[Picture]]:
        from iarbench.harness.trace import Picture
        from iarbench.images.picture_files import in_chunks, read_picture

        for chunk in in_chunks(self.files, AT_ONCE):
            pictures = []
            for path in chunk:
                try:
                    image, digest = read_picture(path)
                except UserError as error:
                    options.say(f"error: {error}")
                    self.failed += 1
                    continue
                pictures.append(Picture(path, image))
                if digest in self._seen:
                    self.copies.add(path)
                self._seen.add(digest)
            self.done += len(chunk)
            yield pictures


def _gathered(found: Sequence[Traced]) -> Iterator[str]:
    """Each note once, with the file or the number of files that it is about."""
    about: dict[str, list[str]] = {}
    for traced in found:
        if traced.note:
            about.setdefault(traced.note, []).append(traced.path)
    for note, paths in about.items():
        yield f"{paths[0] if len(paths) == 1 else f'{len(paths)} images'}: {note}"


def _print_json(found: Sequence[Traced], together: Sequence[Together], alpha: float) -> None:
    for traced in found:
        print(json.dumps({"image": traced.path, "note": traced.note, **asdict(traced.answer)}))
    if together:
        answers: list[dict[str, Any]] = [
            {"name": one.name, **asdict(one.verdict), "p_adjusted": one.p_adjusted} for one in together
        ]
        print(json.dumps({"together": answers, "images": together[0].verdict.images, "alpha": alpha}))


def _print(found: Sequence[Traced], together: Sequence[Together], alpha: float) -> None:
    """A line per image, then a line per target or family about all of them."""
    rows = [["image", "answer", "adjusted p", "most like"]]
    for traced in found:
        best = traced.answer.verdicts[0]
        like = dict.fromkeys(v.family for v in traced.answer.verdicts if v.p_value == best.p_value)
        rows.append([traced.path, traced.answer.decision, f"{best.p_adjusted:.4f}", ", ".join(like)])
    print(options.table(rows))
    if not together:
        return
    print(f"\n{together[0].verdict.images} images together")
    rows = [["made by", "share", "95 % interval", "e-value", "at least one"]]
    for one in together:
        share = one.verdict.share
        value = "?" if share is None or share.value is None else _percent(share.value)
        ends = "?" if share is None else f"{_percent(share.low)} to {_percent(share.high)}"
        shown = "yes" if one.p_adjusted <= alpha else "not shown"
        rows.append([one.name, value, ends, _power_of_ten(one.verdict.log10_e), shown])
    print(options.table(rows))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _power_of_ten(log10: float) -> str:
    """Two digits of a number given by its decimal logarithm, however large."""
    if -3 <= log10 < 4:
        return f"{10**log10:.2g}"
    return f"1e{round(log10):+d}"
