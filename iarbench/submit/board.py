"""The folder of a board: rows, and what they are recomputed from.

rows/<task>.jsonl          rows (`iarbench.results.grouped`)
submissions/<id>.json      what a run was: its command, versions, machine, task, images, and the digests of all below
scores/<id>.parquet        its scores per image (`iarbench.submit.score_file`)
images/<digest>.parquet    the images that scores are of, by id and content; submissions share them
sources/<id>/              code of detectors and attacks that did not come with iarbench
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.results.grouped import grouped_lines
from iarbench.results.kinds import KINDS
from iarbench.results.rows import read_rows
from iarbench.specs import TaskRecord


class Source(BaseModel):
    """Where code that did not come with iarbench is from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str
    """as the run named it"""
    entry: str
    """the file or module that it starts in, below sources/<id>/ where the code is kept there"""
    repository: str | None = None
    """"https://...@commit" where it is kept elsewhere"""
    files: dict[str, str] = {}
    """file below sources/<id>/ -> SHA-256"""

    def where(self, submission: str) -> str:
        """As rows of this submission name it."""
        return self.repository or f"sources/{submission}/{self.entry}"

    @property
    def content(self) -> str:
        """The same for the same code, whatever submission holds it."""
        return self.repository or json.dumps([self.entry, sorted(self.files.items())])


class Cell(BaseModel):
    """What a detector says of a target under an attack, in whatever rows that is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str
    parameters: str
    encoder: str
    target: str | None
    """None where rows are about all targets"""
    attack: str

    @classmethod
    def of(cls, row: Any) -> Cell:
        """The cell of a row."""
        return cls.model_validate({name: getattr(row, name, None) for name in cls.model_fields})


class Elsewhere(BaseModel):
    """Rows that a run has as well, and another submission had before: they stand there alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    submission: str
    rows: int
    """how many"""
    cells: tuple[Cell, ...]
    """that they are of"""


class Submission(BaseModel):
    """submissions/<id>.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str
    commands: tuple[str, ...]
    """every command that filled the run's folder, without what only that machine has (`iarbench.submit.repeatable`)"""
    iarbench: str
    git: str | None
    packages: dict[str, str | None]
    hardware: dict[str, Any]
    task: TaskRecord
    image_set: str
    images_fingerprint: str
    """of the whole set"""
    limit: int | None
    precision: str
    weights: dict[str, str]
    notes: tuple[str, ...]
    sources: tuple[Source, ...] = ()
    images: str
    """SHA-256 of the index of images, which is its name below images/"""
    scores: str
    """SHA-256 of scores/<id>.parquet"""
    rows: int
    """how many of its rows the board keeps"""
    rows_sha256: str
    """of these rows as they stand there"""
    elsewhere: tuple[Elsewhere, ...] = ()
    """rows that its scores give as well, counted on other submissions (`iarbench.submit.elsewhere`)"""
    sha256: str = ""
    """of all other fields"""

    def sealed(self) -> Submission:
        """With its own digest."""
        return self.model_copy(update={"sha256": self.digest()})

    def digest(self) -> str:
        """SHA-256 of all fields but `sha256`."""
        told = {name: value for name, value in self.told().items() if name != "sha256"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()

    def told(self) -> dict[str, Any]:
        """Its fields as JSON has them; `elsewhere` only where there is something: records of before it have none."""
        return self.model_dump(mode="json", exclude=None if self.elsewhere else {"elsewhere"})

    def told_elsewhere(self) -> str:
        """Where how many more rows are, for readers; "" when there are none."""
        return "".join(f", {one.rows} more in {one.submission}" for one in self.elsewhere)


@dataclass(frozen=True, slots=True)
class Board:
    """A board's folder; it need not be there yet."""

    root: Path

    @classmethod
    def packaged(cls) -> Board:
        """The one that iarbench brings along: whole in a checkout, rows alone in an installed package."""
        import iarbench.leaderboard

        return cls(Path(iarbench.leaderboard.__path__[0]))

    def rows_file(self, task: str) -> Path:
        return self.root / "rows" / f"{task}.jsonl"

    def submission_file(self, name: str) -> Path:
        return self.root / "submissions" / f"{name}.json"

    def scores_file(self, name: str) -> Path:
        return self.root / "scores" / f"{name}.parquet"

    def images_file(self, digest: str) -> Path:
        return self.root / "images" / f"{digest[:16]}.parquet"

    def sources(self, name: str) -> Path:
        return self.root / "sources" / name

    def names(self) -> list[str]:
        """Every submission, sorted."""
        return sorted(path.stem for path in (self.root / "submissions").glob("*.json"))

    def read(self, name: str) -> Submission:
        """A submission. Raises UserError when it is not there, damaged, or was changed."""
        path = self.submission_file(name)
        try:
            found = Submission.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{self.root} has no submission {name!r}; it has: {', '.join(self.names())}") from None
        except (OSError, ValueError, ValidationError) as error:
            raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
        if found.sha256 != found.digest():
            raise UserError(f"{path} is not as it was written: it was changed or is damaged")
        return found

    def write(self, submission: Submission) -> None:
        text = json.dumps(submission.told(), indent=1, ensure_ascii=False)
        write_text(self.submission_file(submission.id), text + "\n")

    def rows(self, task: str, kind: str) -> list[Any]:
        """The stored rows of a task, none where there are none."""
        path = self.rows_file(task)
        return read_rows(path, KINDS[kind].row()) if path.is_file() else []

    def rows_of(self, submission: Submission) -> list[Any]:
        """The stored rows of a submission."""
        record = submission.task
        every = self.rows(record.name, record.effective.kind)
        return [row for row in every if row.submission == submission.id]

    def write_rows(self, task: str, rows: Iterable[BaseModel]) -> None:
        write_text(self.rows_file(task), "".join(f"{line}\n" for line in grouped_lines(rows)))


def rows_digest(rows: Sequence[BaseModel]) -> str:
    """SHA-256 of rows, however they are laid out in a file: of what differs from the defaults, a line of JSON each."""
    told = (row.model_dump_json(exclude_defaults=True) for row in rows)
    return hashlib.sha256("\n".join(told).encode("utf-8", "surrogatepass")).hexdigest()


def about(row: Any) -> str:
    """What names a row, for messages and as a reader would say it."""
    names = ("detector", "score_name", "parameters", "encoder", "target", "attack", "nonmember_set", "level", "setting",
             "left_out", "subject", "metric", "threshold_kind", "fpr_nominal")  # fmt: skip
    told = [str(value) for name in names if (value := getattr(row, name, None)) not in (None, "")]
    return " ".join(dict.fromkeys(told))


def row_id(row: Any) -> str:
    """A short name for a row: 12 hexadecimal digits of a hash of what it is about and of its submission."""
    return hashlib.sha256(f"{row.submission} {row.task} {about(row)}".encode()).hexdigest()[:12]
