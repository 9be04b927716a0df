"""manifest.json: what a run was, with everything needed to judge and repeat it."""

from __future__ import annotations

import json
import os
import platform
import resource
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import iarbench
from iarbench import __version__
from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.harness.plan import Plan, Settings

PACKAGES = ("torch", "numpy", "pillow", "albumentations", "pyarrow", "pandas", "scipy", "scikit-learn", "safetensors")
SEEDS = "attacks: sha256(attack name, attack version, image_id); bootstrap: hash of the row's identity; no other seed"


def read(root: Path) -> dict[str, Any] | None:
    """The manifest of a run's folder, None where there is none. Raises UserError when it is damaged."""
    path = root / "manifest.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        _ = found["task"]["name"], found["task"]["version"], found["runs"], found["status"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and repeat the run") from None
    return found


def require_same_task(root: Path, plan: Plan) -> dict[str, Any] | None:
    """The manifest already there, if any. Raises UserError when the folder holds another task's run or other files."""
    found = read(root)
    spec = plan.task.spec
    if found and (found["task"]["name"], found["task"]["version"]) != (spec.name, spec.version):
        raise UserError(
            f"{root} holds a run of task {found['task']['name']} version {found['task']['version']}, not of "
            f"{spec.name} version {spec.version}; choose another --out"
        )
    if not found and root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root} is not the folder of a run and not empty; choose another --out")
    return found


def start(root: Path, plan: Plan, settings: Settings, before: dict[str, Any] | None) -> dict[str, Any]:
    """Write the manifest of a run that begins; earlier runs that filled the same folder stay listed in it."""
    now = {
        "command": shlex.join(["iarbench", *sys.argv[1:]]),
        "started": _now(),
        "iarbench": __version__,
        "git": _git(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "hardware": hardware(),
    }
    manifest = {
        "status": "running",
        "task": plan.task.dump(),
        "images": {
            "set": plan.parts[0].about["image_set"],
            "fingerprint": plan.images.fingerprint,
            "in_set": len(plan.images),
            "used": len(plan.index),
            "limit": settings.limit,
        },
        "precision": settings.precision,
        "weights": plan.weights,
        "seeds": SEEDS,
        "notes": list(plan.notes),
        "runs": [*(before["runs"] if before else []), now],
    }
    write(root, manifest)
    return manifest


def write(root: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, all or nothing."""
    write_text(root / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def finish_run(manifest: dict[str, Any], seconds: float, settings: Settings, images_scored: int) -> None:
    """Fill in what is known at the end of the latest run."""
    run = manifest["runs"][-1]
    run |= {"ended": _now(), "seconds": round(seconds, 3), "images_scored": images_scored}
    run |= {"device": settings.device, "batch_size": settings.batch_size, "workers": settings.workers}
    run |= {"compile": settings.compile}
    run |= {"peak_memory_mib": peak_memory(), "hardware": hardware()}
    if settings.device.startswith("cuda"):
        run["gpu_peak_memory_mib"] = round(sys.modules["torch"].cuda.max_memory_allocated() / 2**20)


def hardware() -> dict[str, Any]:
    """CPU model, cores, memory and, where torch is loaded and sees one, the GPU."""
    found: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "platform": platform.platform(),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def peak_memory() -> int:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git() -> str | None:
    """Commit of the source tree that runs, "-dirty" if changed; None for an installed package."""
    root = Path(iarbench.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
