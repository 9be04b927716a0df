"""Reading weight files safely and fitting them into a module, name by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from iarbench.errors import UserError

#: a released name to ours; None for a tensor we compute instead of loading (statistics, masks, tables)
Rename = Callable[[str], str | None]


def read_state(path: Path, wrappers: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors of a safetensors or PyTorch file, unwrapped from the first of ``wrappers`` the file has.

    PyTorch files load with ``weights_only=True``: no code in them ever runs. Raises UserError.
    """
    if not path.is_file():
        raise UserError(f"no weight file at {path}: give an existing .safetensors, .pt, .pth, .bin or .ckpt file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0][:160]
        raise UserError(
            f"cannot read weights from {path} ({reason}): the file is damaged or not a weight file"
        ) from None
    for key in wrappers:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
            break
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    if not tensors:
        raise UserError(f"{path} holds no tensors under {list(wrappers) or 'its top level'}: is it the right file?")
    return tensors


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
    if problems:
        shown = "; ".join(sorted(problems)[:3])
        raise UserError(f"{origin} does not fit {type(module).__name__} ({len(problems)} tensors, e.g. {shown})")
    module.load_state_dict(own)
