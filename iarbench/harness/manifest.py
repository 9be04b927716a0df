"""manifest.json: what a run was, with everything needed to judge and repeat it."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from iarbench import __version__
from iarbench.errors import UserError
from iarbench.files import alone, write_text
from iarbench.harness.launch.order import command_line
from iarbench.harness.leak_checks import Areas
from iarbench.harness.machine import commit, hardware, package_version, peak_memory
from iarbench.harness.plan import Plan, Settings
from iarbench.specs import TaskRecord

PACKAGES = ("torch", "numpy", "pillow", "albumentations", "pyarrow", "pandas", "scipy", "scikit-learn", "safetensors")
SEEDS = "attacks: sha256(attack name, attack version, image_id); bootstrap: hash of the row's identity; no other seed"


MANIFEST_SCHEMA: Literal[2] = 2
"""Version of the fields of a manifest."""

ANEW = "delete it and repeat the `iarbench run` command; the scores are used again"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImagesUsed(_Part):
    """Which images a run is about."""

    set: str
    """as the user calls it"""
    fingerprint: str
    in_set: int
    used: int
    limit: int | None = None
    """at most so many of each source and split"""


class OneRun(_Part):
    """One call of the command; what is None is known only at its end."""

    id: str = ""
    """by which the command finds its own entry again: others may run into the same folder meanwhile"""
    command: str
    started: str
    iarbench: str
    git: str | None = None
    python: str
    packages: dict[str, str | None]
    hardware: dict[str, Any]
    ended: str | None = None
    seconds: float | None = None
    images_scored: int | None = None
    """summed over attacks"""
    launch: str | None = None
    """where its processes ran, "slurm, 64 jobs"; None: it was one process"""
    device: str | None = None
    batch_size: int | None = None
    workers: int | None = None
    compile: bool | None = None
    peak_memory_mib: int | None = None
    gpu_peak_memory_mib: int | None = None


class Manifest(_Part):
    """manifest.json of a run's folder."""

    schema_version: Literal[2] = MANIFEST_SCHEMA
    status: Literal["running", "finished"]
    task: TaskRecord
    images: ImagesUsed
    precision: str
    weights: dict[str, str]
    """"target/encoder" -> weights hash"""
    seeds: str = SEEDS
    notes: tuple[str, ...]
    """what was left out, and why"""
    runs: tuple[OneRun, ...]
    """every call that filled the folder"""
    leak_checks: Areas = {}
    results_key: str | None = None
    """hash of all that the results follow from"""
    files: dict[str, str] = {}
    """SHA-256 of the files beside this one, by name"""
    sha256: str = ""
    """of all other fields of this file"""


def read(root: Path) -> Manifest | None:
    """The manifest of a run's folder, None where there is none. Raises UserError when it cannot be read."""
    path = root / "manifest.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version = found.get("schema_version", 0)
        if isinstance(version, int) and version > MANIFEST_SCHEMA:
            raise UserError(f"{path} was written by a newer iarbench; upgrade this one, or choose another --out")
        if version != MANIFEST_SCHEMA:
            raise UserError(f"{path} was written by an older iarbench; {ANEW}")
        manifest = Manifest.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path} is damaged ({where}: {first['msg']}); {ANEW}") from None
    except (ValueError, AttributeError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}); {ANEW}") from None
    if _digest(found) != manifest.sha256:
        raise UserError(f"{path} is not as it was written: it was changed or is damaged; {ANEW}")
    return manifest


def require_same_task(root: Path, plan: Plan) -> Manifest | None:
    """The manifest already there, if any. Raises UserError when the folder holds another task's run or other files."""
    found = read(root)
    spec = plan.task.spec
    if found and (found.task.name, found.task.version) != (spec.name, spec.version):
        raise UserError(
            f"{root} holds a run of task {found.task.name} version {found.task.version}, not of "
            f"{spec.name} version {spec.version}; choose another --out"
        )
    # Parts of a run without a manifest: it was deleted, as `ANEW` says, or they were taken over from another run.
    parts = any((root / name).is_dir() for name in ("scores", "learnt", "quality"))
    if not found and not parts and root.exists() and not _is_free(root):
        raise UserError(f"{root} is not the folder of a run and not empty; choose another --out")
    return found


def _is_free(root: Path) -> bool:
    """Whether it is a folder with nothing in it but hidden files, such as the lock."""
    return root.is_dir() and all(path.name.startswith(".") for path in root.iterdir())


def start(
    root: Path, plan: Plan, settings: Settings, command: str | None = None, launch: str | None = None
) -> Manifest:
    """Write the manifest of a run that begins; the other runs that fill the same folder stay listed in it."""
    now = OneRun(
        id=uuid.uuid4().hex,
        command=command or command_line(),
        started=_now(),
        iarbench=__version__,
        git=commit(),
        python=platform.python_version(),
        packages={name: package_version(name) for name in PACKAGES},
        hardware=hardware(),
        launch=launch,
    )
    with alone(root):
        before = require_same_task(root, plan)
        manifest = _begun(plan, settings, (*(before.runs if before else ()), now))
        write(root, manifest)
    return manifest


def _begun(plan: Plan, settings: Settings, runs: tuple[OneRun, ...]) -> Manifest:
    return Manifest(
        status="running",
        task=plan.task.record(),
        images=ImagesUsed(
            set=plan.task.spec.images,
            fingerprint=plan.images.fingerprint,
            in_set=len(plan.images),
            used=len(plan.index),
            limit=settings.limit,
        ),
        precision=settings.precision,
        weights=plan.weights,
        notes=plan.notes,
        runs=runs,
    )


def write(root: Path, manifest: Manifest) -> None:
    """Write the manifest, all or nothing."""
    fields = manifest.model_dump(mode="json", exclude_none=True)
    text = json.dumps({**fields, "sha256": _digest(fields)}, indent=1, ensure_ascii=False)
    write_text(root / "manifest.json", text + "\n")


def _digest(fields: dict[str, Any]) -> str:
    """SHA-256 of all fields but `sha256`, as they stand in the file: a later version may know more of them."""
    rest = {name: value for name, value in fields.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def finished(
    root: Path,
    manifest: Manifest,
    seconds: float,
    settings: Settings,
    images_scored: int,
    leak_checks: Areas,
    results_key: str,
    files: dict[str, str],
) -> Manifest:
    """The manifest of a run with what is known at its end, and with what others have recorded below `root` since."""
    now = {
        "ended": _now(),
        "seconds": round(seconds, 3),
        "images_scored": images_scored,
        "device": settings.device,
        "batch_size": settings.batch_size,
        "workers": settings.workers,
        "compile": settings.compile,
        "peak_memory_mib": peak_memory(),
        "hardware": hardware(),
    }
    if settings.device.startswith("cuda"):
        now["gpu_peak_memory_mib"] = round(sys.modules["torch"].cuda.max_memory_allocated() / 2**20)
    mine = manifest.runs[-1].model_copy(update=now)
    there = read(root)
    others = [run for run in (there or manifest).runs if run.id != mine.id]
    runs = tuple(sorted((*others, mine), key=lambda run: run.started))
    end = {"status": "finished", "runs": runs, "leak_checks": leak_checks, "results_key": results_key, "files": files}
    return manifest.model_copy(update=end)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
