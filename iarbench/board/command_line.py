"""The command that computes a number of the board again."""

from __future__ import annotations

import shlex

from iarbench.board.gather import AnyRow, Batch
from iarbench.device import PRECISIONS
from iarbench.registry import DETECTORS

TARGET, ATTACK = "@target@", "@attack@"
"""Stand in a command for what a line of the table says."""


def template(row: AnyRow, batch: Batch, limit: int | None, options: tuple[str, ...]) -> str:
    """`iarbench run ...` for the entry that a row belongs to, with `options` for what it leaves open.

    A detector that this installation does not know by name came from a user's file: the command of its batch is given.
    """
    if row.detector not in DETECTORS.targets() and batch.command:
        return batch.command
    words = ["iarbench", "run", "--task", row.task]
    words += ["--detector", row.detector + (f":{row.parameters}" if row.parameters else "")]
    words += options
    if row.encoder != "none":
        words += ["--encoder", row.encoder]
    if row.precision != PRECISIONS[0]:
        words += ["--precision", row.precision]
    if getattr(row, "attacked", "both") != "both":
        words += ["--attacked", getattr(row, "attacked", "both")]
    if limit:
        words += ["--limit", str(limit)]
    return shlex.join([*words, "--out", f"runs/again-{row.task}"])


def single(row: AnyRow, batch: Batch, limit: int | None) -> str:
    """For one line of a provenance task: `TARGET` and `ATTACK` are to be replaced, each by a quoted name."""
    return template(row, batch, limit, ("--target", TARGET, "--attack", ATTACK))


def filled(command: str, target: str, attack: str) -> str:
    """`single` with its names filled in."""
    return command.replace(TARGET, shlex.quote(target)).replace(ATTACK, shlex.quote(attack))
