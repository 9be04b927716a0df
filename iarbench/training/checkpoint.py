"""Training checkpoints that survive a kill: written whole or not at all, and resumed where they fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from iarbench.files import write_atomically


def save_atomically(state: Any, path: Path) -> None:
    """``torch.save``, all or nothing."""
    write_atomically(path, lambda file: torch.save(state, file))


def snapshot(step: int, recipe: dict[str, Any], *parts: Any) -> dict[str, Any]:
    """Everything needed to continue after ``step``: the parts' states and the random state."""
    states = [part if isinstance(part, dict) else part.state_dict() for part in parts]
    return {"step": step, "recipe": recipe, "parts": states, "rng": _random_states()}


def resume(path: Path, recipe: dict[str, Any], *parts: Any) -> int:
    """Restore ``parts`` from ``path``; 0 where there is nothing to resume or the recipe has changed."""
    if not path.is_file():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["recipe"] != recipe:
        return 0
    for part, saved in zip(parts, state["parts"], strict=True):
        if isinstance(part, dict):
            part.update(saved)
        else:
            part.load_state_dict(saved)
    _restore_random_states(state["rng"])
    return int(state["step"])


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the learning rate ``lr``."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def _random_states() -> list[Tensor]:
    """Of the CPU, which nearly all chance comes from, then of every GPU in use, which dropout draws from."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [])]


def _restore_random_states(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if torch.cuda.is_initialized() and len(states) == 1 + torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states[1:])
