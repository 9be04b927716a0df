"""Reading weight files safely and fitting them into a module, name by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from iarbench.errors import UserError

#: a released name to ours; None for a tensor we compute instead of loading (statistics, masks, tables)
Rename = Callable[[str], str | None]


def read_state(path: Path, wrappers: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors of a safetensors or PyTorch file, unwrapped from the first of ``wrappers`` the file has.

    PyTorch files load with ``weights_only=True``: no code in them ever runs. Raises UserError in one line that says
    what the file is instead, and what to do.
    """
    if not path.is_file():
        raise UserError(f"no weight file at {path}: give an existing .safetensors, .pt, .pth, .bin or .ckpt file")
    try:
        state = _read(path)
    except OSError as error:
        raise UserError(f"cannot read weights from {path}: {error.strerror or error}") from None
    if not isinstance(state, Mapping):
        raise UserError(f"{path} holds {_kind(state)}, not weights: expected a state dict, names to tensors")
    for key in wrappers:
        if isinstance(state.get(key), Mapping):
            state = state[key]
            break
    tensors = {k: v for k, v in state.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if not tensors:
        raise UserError(f"{path} holds no tensors under {list(wrappers) or 'its top level'}: is it the right file?")
    return tensors


def _read(path: Path) -> Any:
    """What the file holds, read as what its first bytes say it is: names of weight files are often wrong."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise UserError(f"{path} is empty: download or copy the weights again")
    if start.startswith(b"version https://git-lfs."):
        raise UserError(
            f"{path} is a Git LFS pointer, not the weights: run `git lfs pull`, or download the file itself"
        )
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise UserError(f"{path} is a web page, not weights: download the file itself, not the page about it")
    try:
        if start[8:9] == b"{":
            from safetensors.torch import load_file

            return load_file(path)
        with path.open("rb") as file:  # by its content: torch goes by the name
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise UserError(_why_unreadable(path, str(error))) from None


def _kind(value: Any) -> str:
    return "nothing (None)" if value is None else f"a {type(value).__name__}"


def _why_unreadable(path: Path, reason: str) -> str:
    if objects := re.findall(r"(?:GLOBAL|global:?) ([\w.]+\.\w+)", reason):
        return (
            f"{path} holds Python objects ({objects[0]}) beside its tensors, which are never loaded, since that could "
            f"run code: save its state dict alone, with torch.save or as safetensors"
        )
    first = " ".join(reason.split())[:100]
    return f"cannot read weights from {path}: it is damaged, or no safetensors or PyTorch file ({first}); get it again"


def rules(*pairs: tuple[str, str | None]) -> Rename:
    """A rename that applies every (regular expression, replacement) in order; replacement None drops the name."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in pairs]

    def rename(name: str) -> str | None:
        for pattern, replacement in compiled:
            if replacement is None:
                if pattern.search(name):
                    return None
            else:
                name = pattern.sub(replacement, name)
        return name

    return rename


def renamed(state: Mapping[str, Tensor], rename: Rename) -> dict[str, Tensor]:
    """``state`` under our names, without what ``rename`` drops."""
    return {own: tensor for name, tensor in state.items() if (own := rename(name)) is not None}


def below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of ``state`` whose names begin with ``prefix``, under the rest of their names."""
    return renamed(state, lambda name: name.removeprefix(prefix) if name.startswith(prefix) else None)


def load_released(module: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Put a released state dict into ``module``; every tensor must find its place and every place its tensor.

    The module names its own translation in ``released_key``. Raises UserError with the first mismatches.
    """
    own = renamed(state, module.released_key)  # type: ignore[arg-type]
    want = module.state_dict()
    problems = [f"missing {name}" for name in want.keys() - own.keys()]
    problems += [f"unexpected {name}" for name in own.keys() - want.keys()]
    problems += [
        f"{name} has shape {tuple(own[name].shape)}, wanted {tuple(want[name].shape)}"
        for name in want.keys() & own.keys()
        if own[name].shape != want[name].shape
    ]
    problems += [
        f"{name} is of {str(own[name].dtype).removeprefix('torch.')}, wanted floating-point numbers"
        for name in want.keys() & own.keys()
        if want[name].is_floating_point() and not own[name].is_floating_point()
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:3])
        raise UserError(f"{origin} does not fit {type(module).__name__} ({len(problems)} tensors, e.g. {shown})")
    if bad := [name for name, tensor in own.items() if tensor.is_floating_point() and not tensor.isfinite().all()]:
        raise UserError(
            f"{origin} holds values that are not finite in {len(bad)} of {len(own)} tensors, e.g. {bad[0]}: it is "
            f"damaged, or its training diverged; get it again"
        )
    module.load_state_dict(own)
