"""Papers' own numbers: shown apart, with where each was read, and never ranked with measured ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.submit.board import Board


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Number(_Part):
    """One number as printed."""

    where: str
    """table or data set of the paper"""
    method: str
    """as the paper calls it"""
    target: str
    against: str
    attack: str = "none"
    value: float
    """in the unit that its paper's `metric` says"""


class Paper(_Part):
    """Numbers of one metric from one paper."""

    title: str
    arxiv: str
    venue: str
    read_in: str
    """the paper itself, or who quotes it"""
    metric: str
    """with its unit"""
    protocol: str
    numbers: tuple[Number, ...]


class Reported(_Part):
    """reported.yaml."""

    schema_version: Literal[1] = 1
    papers: tuple[Paper, ...]


def of_board(board: Board) -> Reported | None:
    """What its reported.yaml says, if it has one. Raises UserError where the file is not what it should be."""
    path = board.root / "reported.yaml"
    return read(path) if path.is_file() else None


def read(path: Path) -> Reported:
    """Raises UserError when a file is not what it should be."""
    try:
        return Reported.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
