"""Schedules on disk: at full size a model's matrices take minutes to factorise, and any later process can read them.

Which are kept depends on their size alone, and what a file gives is what would be computed here, bit for bit: it is
called by all that decides the numbers, the kind of processor among it, and checked by a digest of its content.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from iarbench.files import cache_dir, write_atomically
from iarbench.token_search.gaussian import InFeatures
from iarbench.token_search.linear import LinearMap
from iarbench.token_search.schedule import Schedule, Step

# To be counted up whenever the same weights and budget give other numbers.
VERSION = 5
# Numbers of a feature map from which on a schedule is kept: one of fewer is made in less time than it takes to read.
LARGE = 2**10

_SOLVE = ("inverse", "site", "precision", "gain")


def kept(linear: LinearMap, name: str, make: Callable[[], Schedule]) -> Schedule:
    """The schedule called ``name``: that of a large map is read if it was kept, else made and kept.

    A folder that cannot be written or a file that cannot be read only cost the time.
    """
    if linear.offset.numel() < LARGE:
        return make()
    called = hashlib.sha256(f"{VERSION} {_machine()} {name}".encode()).hexdigest()
    path = cache_dir() / "token_search" / f"{called}.safetensors"
    found = _read(path, str(linear.codes.device))
    if found is not None:
        return _unpacked(linear, found)
    schedule = make()
    with suppress(OSError, SafetensorError):
        _write(path, _packed(schedule))
    return schedule


def _machine() -> str:
    """What decides how a product is rounded, beside its shape."""
    kinds = ("vendor_id", "model name", "flags")
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
        processor = [line for line in lines if line.startswith(kinds)]
        return f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()} {processor}"
    return f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()} {platform.platform()} {platform.processor()}"


def _read(path: Path, device: str) -> dict[str, Tensor] | None:
    from safetensors import safe_open

    with suppress(OSError, SafetensorError), safe_open(path, framework="pt", device="cpu") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if (file.metadata() or {}).get("sha256") == _digest(tensors):
            return {name: tensor.to(device) for name, tensor in tensors.items()}
    return None


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save_file  # `save` would hold gigabytes twice more

    own = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    about = {"sha256": _digest(own)}
    write_atomically(path, lambda file: save_file(own, file.name, metadata=about))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _packed(schedule: Schedule) -> dict[str, Tensor]:
    tensors = {"centre": schedule.centre}
    for i, step in enumerate(schedule.steps):
        assert isinstance(step.solve, InFeatures)
        tensors |= {f"{i}.{name}": getattr(step.solve, name) for name in _SOLVE}
        tensors |= {f"{i}.bias": step.bias, f"{i}.tilted": step.tilted}
    return tensors


def _unpacked(linear: LinearMap, tensors: Mapping[str, Tensor]) -> Schedule:
    steps = []
    for i in range(sum(name.endswith(".bias") for name in tensors)):
        solve = InFeatures(linear, *(tensors[f"{i}.{name}"] for name in _SOLVE))
        steps.append(Step(solve, tensors[f"{i}.bias"], tensors[f"{i}.tilted"]))
    return Schedule(tensors["centre"], tuple(steps))
