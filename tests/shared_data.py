"""Sets of real images that may not be given on: a test uses them where they are, and skips where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_file(name: str) -> Path:
    """A file of $IARBENCH_SHARED_DATA, or of ../shared/data beside the checkout; skips the test without it."""
    beside = Path(__file__).parents[2] / "shared/data"
    file = Path(os.environ.get("IARBENCH_SHARED_DATA", beside)) / name
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    return file
