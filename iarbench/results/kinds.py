"""What a kind of task makes of stored scores: its rows, tables and picture, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import BaseModel
    from rich.console import Console, RenderableType

    from iarbench.results.view import View
    from iarbench.task import Task

Rows = Sequence[Any]
"""Rows of one kind."""


class Kind(ABC):
    """The results of one kind of task; what it needs is imported when it is needed."""

    files: ClassVar[tuple[str, ...]] = ()
    """What it writes beside results.jsonl and results.png."""

    @abstractmethod
    def row(self) -> type[BaseModel]:
        """The class of its rows."""

    @abstractmethod
    def compute(self, scores: pd.DataFrame, images: pd.DataFrame, task: Task) -> list[Any]:
        """Every row that the scores allow."""

    def compute_stored(self, root: Path, parts: Sequence[str], task: Task) -> list[Any]:
        """Every row that the stored scores of the images in `root`/images.parquet allow; `parts`: their files, relative
        to `root`."""
        from iarbench.results.scores import load_index, load_scores

        return self.compute(load_scores(root, parts), load_index(root), task)

    @abstractmethod
    def plot(self, rows: Rows, path: Path, fpr: float | None = None) -> None:
        """Write its picture, a PNG."""

    @abstractmethod
    def render(self, rows: Rows, view: View | None = None) -> RenderableType:
        """The table for a terminal."""

    @abstractmethod
    def plain(self, rows: Rows, view: View | None = None) -> str:
        """The table as plain lines."""

    @abstractmethod
    def markdown(self, rows: Rows, view: View | None = None) -> str:
        """The table as Markdown."""

    def chosen(self, rows: Rows, view: View) -> list[Any]:
        """The rows that a view is about, for JSON; all of them unless a kind knows better."""
        return list(rows)

    def show(self, rows: Rows, view: View | None = None, console: Console | None = None) -> None:
        """Print the table, or plain lines when the output is not a terminal."""
        from rich.console import Console

        console = console or Console()
        if console.is_terminal:
            console.print(self.render(rows, view))
        else:
            console.file.write(self.plain(rows, view) + "\n")

    def write_more(self, root: Path, parts: Sequence[str], task: Task) -> None:  # noqa: B027
        """Write its `files` below `root`; none unless a kind says so."""


class Provenance(Kind):
    """Did this generator make this image?"""

    def row(self) -> type[BaseModel]:
        from iarbench.results.rows import Row

        return Row

    def compute(self, scores: pd.DataFrame, images: pd.DataFrame, task: Task) -> list[Any]:
        from iarbench.results.compute import compute_rows

        return compute_rows(scores, images, task.result_task())

    def compute_stored(self, root: Path, parts: Sequence[str], task: Task) -> list[Any]:
        """A detector at a target under an attack at a time: its scores alone are in memory."""
        from iarbench.progress import counted
        from iarbench.results.compute import stored_cells

        found = stored_cells(root, parts, task.result_task())
        rows: list[Any] = []
        for cell in counted(found, "computing results", len(found), "scores"):
            rows.extend(cell.rows())
            cell.forget()
        return rows

    def plot(self, rows: Rows, path: Path, fpr: float | None = None) -> None:
        from iarbench.results.plots import plot_run

        plot_run(rows, path, fpr=fpr)

    def chosen(self, rows: Rows, view: View) -> list[Any]:
        from iarbench.results.view import chosen

        return list(chosen(rows, view))

    def render(self, rows: Rows, view: View | None = None) -> RenderableType:
        from iarbench.results import tables

        return tables.render(rows, view)

    def plain(self, rows: Rows, view: View | None = None) -> str:
        from iarbench.results import tables

        return tables.plain(rows, view)

    def markdown(self, rows: Rows, view: View | None = None) -> str:
        from iarbench.results import tables

        return tables.markdown(rows, view)


class Attribution(Kind):
    """Which of the targets made this image, if any?"""

    files: ClassVar[tuple[str, ...]] = ("attribution.parquet",)

    def row(self) -> type[BaseModel]:
        from iarbench.results.attribution.rows import AttributionRow

        return AttributionRow

    def compute(self, scores: pd.DataFrame, images: pd.DataFrame, task: Task) -> list[Any]:
        from iarbench.results.attribution.compute import compute_rows

        return compute_rows(scores, images, task.attribution_task())

    def plot(self, rows: Rows, path: Path, fpr: float | None = None) -> None:
        from iarbench.results.attribution.plot import plot_confusions

        plot_confusions(rows, path, fpr=fpr)

    def render(self, rows: Rows, view: View | None = None) -> RenderableType:
        from iarbench.results.attribution.tables import render

        return render(rows, view)

    def plain(self, rows: Rows, view: View | None = None) -> str:
        from iarbench.results.attribution.tables import plain

        return plain(rows, view)

    def markdown(self, rows: Rows, view: View | None = None) -> str:
        from iarbench.results.attribution.tables import markdown

        return markdown(rows, view)

    def write_more(self, root: Path, parts: Sequence[str], task: Task) -> None:
        from iarbench.results.attribution.per_image import write_per_image
        from iarbench.results.scores import load_index, load_scores

        scores = load_scores(root, parts)
        write_per_image(scores, load_index(root), task.attribution_task(), root / self.files[0])


KINDS: dict[str, Kind] = {"provenance": Provenance(), "attribution": Attribution()}
"""By the `kind` of a task."""
