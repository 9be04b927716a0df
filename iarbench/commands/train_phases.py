"""Of ``iarbench train``: which phases a training has, their checkpoints, and their parts of --minutes."""

from __future__ import annotations

import argparse
from pathlib import Path

from iarbench.training.folder import TrainedFolder

#: fraction of --minutes that a tokenizer or decoder spends on its first phase, where it has a second one
FIRST_PHASE = 0.84

#: of each training, in their order, a checkpoint each
PHASES = {
    "tokenizer": ("reconstruction", "adversarial"),
    "transformer": ("transformer",),
    "decoder": ("distill", "adversarial"),
}


def first_checkpoint(args: argparse.Namespace, folder: TrainedFolder) -> Path:
    """The checkpoint of the first phase; with --restart those of all phases go, now that nothing is left to refuse."""
    phases = PHASES[args.what]
    if args.restart:
        for phase in phases:
            folder.checkpoint(phase).unlink(missing_ok=True)
    return folder.checkpoint(phases[0])


def seconds_of(args: argparse.Namespace, fraction: float = 1.0) -> float | None:
    """The part of --minutes that is a phase's, in seconds; None without --minutes."""
    return None if args.minutes is None else 60 * args.minutes * fraction


def fraction_of_first(args: argparse.Namespace) -> float:
    """The part of the whole that is the first phase's."""
    return 1.0 if args.adversarial_steps == 0 else FIRST_PHASE
