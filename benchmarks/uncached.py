"""Sampling as the textbook has it: a transformer that computes its whole prefix anew at every step."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor


def forget(transformer: Any) -> None:
    """Replace the ``step`` of any family's transformer, which extends a key-value cache, by one that keeps none.

    It collects what each step was given, goes through all of it from slot 0 on, and returns the logits (B, n, ...) of
    the new slots alone. Where all slots of a scale are seen at once, a mask says so, as in training.
    """
    step = transformer.step
    names = list(inspect.signature(step).parameters)
    inputs: list[Tensor] = []
    first: dict[str, Any] = {}

    def whole(*args: Any) -> Tensor:
        given = dict(zip(names, args, strict=False))
        if given["start"] == 0:
            inputs.clear()
            first.update(given)
        inputs.append(given[names[0]])
        everything = {**first, names[0]: torch.cat(inputs, dim=1), "start": 0, "cache": None}
        if "mask" in names:
            length = _slots(transformer, given)
            level = transformer.level[:length]
            everything["mask"] = level[:, None] >= level[None, :]
        return step(**everything)[:, given["start"] :]

    transformer.step = whole


def _slots(transformer: Any, given: dict[str, Any]) -> int:
    """How many slots there are after a step of a scale-wise family, whose first slot takes no input."""
    new = next(iter(given.values())).shape[1]
    return int(given["start"]) + (new if given["start"] else new + 1)
