"""Schedules on disk: at full size a model's matrices take minutes to factorise, and any later process can read them."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from iarbench.files import cache_dir, write_atomically
from iarbench.token_search.gaussian import InFeatures
from iarbench.token_search.linear import LinearMap
from iarbench.token_search.schedule import Schedule, Step

# To be counted up whenever the same weights and budget give other numbers.
VERSION = 2
# Seconds of work below which a schedule is not worth a file.
WORTH_KEEPING = 20.0


def kept(linear: LinearMap, name: str, make: Callable[[], Schedule]) -> Schedule:
    """The schedule called ``name``, read if it was kept, else made, and kept if that took long.

    A folder that cannot be written or a file that cannot be read only cost the time.
    """
    path = cache_dir() / "token_search" / f"{hashlib.sha256(f'{VERSION} {name}'.encode()).hexdigest()}.pt"
    if path.is_file():
        with suppress(OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError):
            return _unpacked(linear, torch.load(path, map_location=linear.codes.device, weights_only=True))
    start = time.perf_counter()
    schedule = make()
    if time.perf_counter() - start > WORTH_KEEPING:
        with suppress(OSError):
            write_atomically(path, lambda file: torch.save(_packed(schedule), file))
    return schedule


def _packed(schedule: Schedule) -> dict[str, Any]:
    steps = []
    for step in schedule.steps:
        solve = step.solve
        assert isinstance(solve, InFeatures)
        own = {name: getattr(solve, name) for name in ("inverse", "site", "precision", "gain")}
        steps.append({**own, "bias": step.bias, "tilted": step.tilted})
    return {"centre": schedule.centre, "steps": steps}


def _unpacked(linear: LinearMap, packed: dict[str, Any]) -> Schedule:
    steps = []
    for own in packed["steps"]:
        solve = InFeatures(linear, own["inverse"], own["site"], own["precision"], own["gain"])
        steps.append(Step(solve, own["bias"], own["tilted"]))
    return Schedule(packed["centre"], tuple(steps))
