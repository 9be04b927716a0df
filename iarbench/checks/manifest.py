"""Comparing the names and shapes of our full-size models with a manifest of the released files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from iarbench.checks.families import Parts, find_family
from iarbench.errors import UserError


@dataclass(frozen=True, slots=True)
class FileReport:
    """What a released file and our modules disagree about; ``problems`` is empty when they fit."""

    file: str
    tensors: int
    parameters: int
    dropped: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.tensors} tensors, {self.parameters:,} parameters, {self.dropped} computed here instead of loaded"
        if not self.problems:
            return f"ok   {self.file}: {text}"
        return f"OVER {self.file}: {len(self.problems)} of {text}: " + "; ".join(self.problems[:5])


def check_manifest(path: Path) -> Iterator[FileReport]:
    """Build every model of a manifest on the meta device, where it takes no memory, and compare. Raises UserError."""
    try:
        manifest = json.loads(path.read_text())
        family, files = str(manifest["family"]), dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a manifest ({error})") from None
    _, checks = find_family(family)
    for name, entry in files.items():
        try:
            with torch.device("meta"):
                parts = checks.released_parts(entry["hyperparameters"])
            report = _compare(name, entry["tensors"], parts)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path}: {name}: no model can be built as it says ({error})") from error
        yield report


def _compare(file: str, tensors: list[dict[str, Any]], parts: Parts) -> FileReport:
    want = {f"{prefix}{key}": tuple(t.shape) for prefix, module in parts for key, t in module.state_dict().items()}
    found: dict[str, tuple[int, ...]] = {}
    dropped = parameters = 0
    for tensor in tensors:
        own = _own_name(tensor["name"], parts)
        if own is None:
            dropped += 1
            continue
        found[own] = tuple(tensor["shape"])
        parameters += torch.Size(tensor["shape"]).numel()
    problems = [f"{name} is not in the file" for name in want.keys() - found.keys()]
    problems += [f"{name} has no place in the model" for name in found.keys() - want.keys()]
    problems += [
        f"{name} is {found[name]} in the file and {want[name]} in the model"
        for name in want.keys() & found.keys()
        if want[name] != found[name]
    ]
    return FileReport(file, len(tensors), parameters, dropped, tuple(sorted(problems)))


def _own_name(name: str, parts: Parts) -> str | None:
    for prefix, module in parts:
        if name.startswith(prefix):
            own = module.released_key(name.removeprefix(prefix))  # type: ignore[operator]
            return None if own is None else prefix + own
    return name
