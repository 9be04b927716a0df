"""Training checkpoints that survive a kill: written whole or not at all, and resumed where they fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from iarbench.errors import UserError
from iarbench.files import write_atomically


def save_atomically(state: Any, path: Path) -> None:
    """``torch.save``, all or nothing. Raises OSError that names ``path`` when it cannot be written."""

    def write(file: IO[bytes]) -> None:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's own, about its archive, where the file could not take the bytes
            if isinstance(cause := error.__context__, OSError):
                raise OSError(cause.errno, cause.strerror) from error
            raise

    write_atomically(path, write)


def fingerprint(*what: Tensor | nn.Module) -> str:
    """SHA-256 over tensors and the states of modules, wherever they are; names and shapes count."""
    digest = hashlib.sha256()
    for each in what:
        for name, tensor in each.state_dict().items() if isinstance(each, nn.Module) else [("", each)]:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def snapshot(step: int, identity: Mapping[str, Any], *parts: Any) -> dict[str, Any]:
    """Everything needed to continue after ``step``: whose state it is, the parts' states and the random state."""
    states = [part if isinstance(part, dict) else part.state_dict() for part in parts]
    return {"step": step, "identity": dict(identity), "parts": states, "rng": _random_states()}


def resume(path: Path, identity: Mapping[str, Any], *parts: Any) -> int:
    """Restore ``parts`` from ``path`` and return the step; 0 where there is nothing to resume.

    ``identity``: all that the training depends on, flat; fingerprints and plain values.

    Raises:
        UserError: the checkpoint is damaged, or of another training; it says what differs.
    """
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found, saved, random, step = state["identity"], state["parts"], state["rng"], int(state["step"])
    except Exception as error:
        first = " ".join(str(error).split())[:100]
        raise UserError(f"{path} is no checkpoint that can be read ({first}); begin anew with --restart") from None
    if differing := [key for key in {**found, **identity} if found.get(key) != identity.get(key)]:
        what = ", ".join(_difference(key, found.get(key), identity.get(key)) for key in differing)
        raise UserError(
            f"{path} is of a training that differs in {what}; repeat its command to resume, give another --out, or "
            "begin anew with --restart"
        )
    for part, own in zip(parts, saved, strict=True):
        if isinstance(part, dict):
            part.update(own)
        else:
            part.load_state_dict(own)
    _restore_random_states(random)
    return step


def _difference(key: str, before: Any, now: Any) -> str:
    told = [str(value) for value in (before, now)]
    return key if any(len(text) > 40 for text in told) else f"{key} ({told[0]}, now {told[1]})"


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
