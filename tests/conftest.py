"""Fixtures that several test modules share."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import pytest
from toys import Toys, make_toys

from iarbench import progress
from iarbench.models import variants

# On a busy machine some work lasts long enough to say how far it is, beside what a test reads.
progress.EVERY = math.inf

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would every command that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Toys:
    """A toy benchmark that nobody changes."""
    return make_toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture
def toy_family(toys: Toys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Toys:
    """The same, with its generators known in this process and an own cache folder."""
    monkeypatch.setenv("IARBENCH_GENERATORS", str(toys.family))
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    variants._all.cache_clear()
    yield toys
    variants._all.cache_clear()
