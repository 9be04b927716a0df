"""Runs of a plug-in beside a built-in detector, and what is asked of a board that they were submitted to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from toys import SMOOTH, Toys

from iarbench.cli import main
from iarbench.models import variants


@contextmanager
def runs_below(folder: Path, toys: Toys) -> Iterator[list[str]]:
    """The words of a run of both, with the plug-in's file and a cache in `folder`; --out is to be added."""
    (folder / "smooth.py").write_text(SMOOTH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IARBENCH_GENERATORS", str(toys.family))
        patch.setenv("IARBENCH_CACHE", str(folder / "cache"))
        variants._all.cache_clear()
        detectors = f"{folder}/smooth.py,encloss"
        try:
            yield ["run", "--task", str(toys.task), "--detector", detectors, "--encoder", "original", "--quiet"]
        finally:
            variants._all.cache_clear()


def submit(folder: Path, run: str, *more: str) -> int:
    """Submit a run in `folder` to the board there; the exit status."""
    return main(["submit", str(folder / run), "--board", str(folder / "board"), "--local", *more])


def verify(folder: Path, capsys: pytest.CaptureFixture[str], *what: str) -> str:
    """What `iarbench verify` says of these, or of all, on the board in `folder`."""
    capsys.readouterr()
    status = main(["verify", *(what or ("--all",)), "--board", str(folder / "board")])
    text = capsys.readouterr()
    assert text.err == ""
    assert status == (1 if "differs" in text.out else 0)
    return text.out


def board_files(folder: Path) -> dict[str, bytes]:
    """Every file of the board in `folder`."""
    board = folder / "board"
    return {str(path.relative_to(board)): path.read_bytes() for path in sorted(board.rglob("*")) if path.is_file()}
