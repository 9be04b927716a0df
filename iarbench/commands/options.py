"""Options that several commands share, and how their values become what the engine takes."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.alignment import ALIGNS
from iarbench.device import PRECISIONS, check_device
from iarbench.errors import UserError
from iarbench.parameters import split_names
from iarbench.text_table import aligned, fitted, wrapped

if TYPE_CHECKING:
    from iarbench.harness.plan import Settings
    from iarbench.results.view import View
    from iarbench.submit.board import Board

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Endings of picture files that commands write -> the format as Pillow calls it."""

SET_HELP = "a name, a path or hf:owner/name@revision"
"""What may stand for an image set."""

Subparsers = argparse._SubParsersAction  # type: ignore[type-arg]


def add_command(
    subparsers: Subparsers, name: str, brief: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """A command whose help ends with `examples`, one command a line."""
    return subparsers.add_parser(
        name,
        help=brief,
        description=description,
        epilog="examples:\n" + examples,
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device, for `iarbench.device.check_device`."""
    help = "auto (a CUDA GPU if there is one), cpu, cuda, cuda:N or mps; default: auto"
    parser.add_argument("--device", default="auto", metavar="NAME", help=help)


def add_weights(parser: argparse.ArgumentParser) -> None:
    """--weights, for `weights_folder`."""
    parser.add_argument("--weights", type=Path, metavar="DIR", help="look for weight files here first")


def weights_folder(args: argparse.Namespace) -> Path | None:
    """What --weights says. Raises UserError when there is no such folder."""
    folder: Path | None = args.weights
    if folder is not None and not folder.is_dir():
        raise UserError(f"--weights {folder}: there is no such folder")
    return folder


def require_source(src: str, **given: str | None) -> None:
    """See that `iarbench.images.sources.open_source` finds images under a name, before any work; torch stays out.

    Raises:
        UserError: nothing under that name, or an option that such a source does not take.
    """
    from iarbench.images.importing import ImportReport, Treatment
    from iarbench.images.sources import open_source

    open_source(src, Treatment(), ImportReport(), **given)


def require_new_set(out: Path) -> None:
    """See that an image set can be written to the folder `out`. Raises UserError."""
    from iarbench.files import require_writable
    from iarbench.images.shards import require_free

    require_free(out)
    require_writable(out.parent, "--out")


def require_new_file(path: Path | None, option: str) -> None:
    """See that the file that an option names, if it names one, can be written. Raises UserError."""
    from iarbench.files import require_writable

    if path is None:
        return
    if path.is_dir():
        raise UserError(f"{option} {path}: is a folder; give the name of a file")
    require_writable(path.parent, option)


def add_compute(parser: argparse.ArgumentParser) -> None:
    """--device, --precision, --batch-size, --weights."""
    add_device(parser)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of encoder and decoder")
    parser.add_argument("--batch-size", type=positive, metavar="N", help="default: by image size; changes no score")
    add_weights(parser)


def add_align(parser: argparse.ArgumentParser) -> None:
    """--align, for `iarbench.task.Task.aligned`."""
    help = "first search the grid of tokens: phase (cropped images) or phase-scale (cropped and resized back; slow)"
    parser.add_argument("--align", choices=ALIGNS, metavar="HOW", help=help)


def add_view(parser: argparse.ArgumentParser) -> None:
    """--details and the --all options of a table, for `view`."""
    table = parser.add_argument_group("the table", "by default one number per detector, fit for a screen")
    table.add_argument("--details", action="store_true", help="every threshold, AUROC and time of several detectors")
    table.add_argument("--all-scores", action="store_true", help="every score of a detector, not its main one alone")
    table.add_argument("--all-encoders", action="store_true", help="every encoder, not the best known one alone")
    table.add_argument("--all-sets", action="store_true", help="every non-member set, not only all of them pooled")


def view(args: argparse.Namespace, fpr: float | None) -> View:
    """What the options of `add_view` say."""
    from iarbench.results.view import View

    return View(fpr, args.all_scores, args.all_encoders, args.all_sets, args.details)


def add_board(parser: argparse.ArgumentParser) -> None:
    """--board, for `board`."""
    help = "folder of a board, which may be new; default: leaderboard/ of the checkout of iarbench"
    parser.add_argument("--board", type=Path, metavar="DIR", help=help)


def board(args: argparse.Namespace) -> Board:
    """What --board says. Raises UserError where it says nothing and there is no checkout."""
    from iarbench.submit.board import Board

    if args.board is not None:
        return Board(args.board)
    packaged = Board.packaged()
    if not (packaged.root.parent / "pyproject.toml").is_file():
        raise UserError("iarbench is installed without scores, which a board needs; give --board DIR")
    return packaged


def settings(args: argparse.Namespace) -> Settings:
    """What the options of `add_compute`, and --workers, --limit and --compile where a command has them, say."""
    from iarbench.harness.plan import Settings

    check_device_here(args)
    return Settings(
        device=args.device,
        precision=args.precision,
        batch_size=args.batch_size,
        workers=getattr(args, "workers", None),
        weights_dir=weights_folder(args),
        limit=getattr(args, "limit", None),
        compile=getattr(args, "compile", False),
    )


def check_device_here(args: argparse.Namespace) -> None:
    """Raise UserError when --device is not there; where another machine computes, that is not known here."""
    if getattr(args, "launch", None) in (None, "local"):
        check_device(args.device)


def names(values: Sequence[str] | None) -> list[str]:
    """Names, with their parameters, from an option given once or several times, with or without commas."""
    return [name for value in values or () for name in split_names(value)]


def rate(text: str) -> float:
    """A fraction between 0 and 1, both excluded, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1; write 1% as 0.01")
    return value


def new_name(text: str) -> str:
    """A name that files will bear, for argparse."""
    from iarbench.models.variants import NAME

    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: use letters, digits, '.', '_' and '-', up to 100 of them"
        )
    return text


def picture(text: str) -> Path:
    """A picture file to write, for argparse."""
    if Path(text).suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in one of {', '.join(PICTURES)}")
    return Path(text)


def png(text: str) -> Path:
    """A PNG file to write, for argparse."""
    if Path(text).suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .png")
    return Path(text)


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    return _whole(text, 1)


def not_negative(text: str) -> int:
    """A whole number from 0, for argparse."""
    return _whole(text, 0)


def number(text: str) -> float:
    """A number from 0, for argparse."""
    return _number(text, "a number from 0", lambda value: value >= 0)


def above_zero(text: str) -> float:
    """A number above 0, for argparse."""
    return _number(text, "a number above 0", lambda value: value > 0)


def fraction(text: str) -> float:
    """A number from 0 to 1, for argparse."""
    return _number(text, "a number from 0 to 1", lambda value: 0 <= value <= 1)


def side(text: str) -> str:
    """The side that attacks act on, for argparse."""
    sides = {"both": "both", "members": "members", "non-members": "nonmembers", "nonmembers": "nonmembers"}
    if text not in sides:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of both, members, non-members")
    return sides[text]


def say(text: str, quiet: bool = False) -> None:
    """A line on standard error, for what is not the result; in a terminal wrapped at its width."""
    if quiet:
        return
    if sys.stderr.isatty():
        text = "\n".join(wrapped(text, shutil.get_terminal_size().columns))
    print(text, file=sys.stderr)


def table(rows: list[list[str]], drop: Sequence[int] = (), wrap: bool = False) -> str:
    """Columns padded with two spaces between; in a terminal fitted to it, as in `text_table.fitted`."""
    if not sys.stdout.isatty():
        return "\n".join(aligned(rows))
    return "\n".join(fitted(rows, shutil.get_terminal_size().columns, drop, wrap))


def _whole(text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
    return int(text)


def _number(text: str, allowed: str, fits: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and fits(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is not {allowed}")
    return value


def mapping(text: str) -> dict[str, Any]:
    """A flag's value such as ``{ch: 8, ch_mult: [1, 2]}``. Raises argparse's error."""
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a mapping such as '{{ch: 8, ch_mult: [1, 2]}}'")
    return value
