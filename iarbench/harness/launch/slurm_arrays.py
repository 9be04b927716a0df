"""`--launch slurm`: job arrays, by submitit (extra `iarbench[slurm]`).

Every element of an array takes its share of the parts. SLURM starts it again after a time-out or a preemption; it then
skips what is there. What is pending or running is found by the jobs' name, which holds a hash of the folder, whoever
submitted it: so nothing is submitted twice, even where the submitting process was killed right after `sbatch`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iarbench.errors import UserError
from iarbench.extras import optional
from iarbench.files import write_text
from iarbench.harness.launch.engine import Engine

AT_MOST = 1000
"""Elements of one array: many clusters allow 1,001."""
DEFAULTS = {"timeout_min": 60, "cpus_per_task": 1, "slurm_additional_parameters": {"requeue": True}}
SHARED = ("timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")
"""Parameters that submitit knows for every cluster; to others it wants `slurm_` put before."""
ASK_EVERY = 5.0
"""Seconds between two questions to SLURM, which all users share."""


class SlurmArrays(Engine):
    """Arrays with `jobs` elements in all. `parameters`: of submitit's executor; `device`: what was asked for."""

    def __init__(self, jobs: int, parameters: Mapping[str, str | int], device: str) -> None:
        self.jobs = jobs
        gpu = {"gpus_per_node": 1} if device.startswith("cuda") else {}
        asked = {key if key in SHARED else f"slurm_{key}": value for key, value in parameters.items()}
        self.parameters = {**DEFAULTS, **gpu, "slurm_array_parallelism": jobs, **asked}
        self._folder: Path | None = None
        self._asked, self._were_busy = 0.0, True

    def start(self, folder: Path, keys: Sequence[str]) -> int:
        self._folder = folder
        held = {key for share in held_keys(folder) for key in share}
        left = [key for key in keys if key not in held]
        shares = [left[number :: self.jobs] for number in range(min(self.jobs, len(left)))]
        for first in range(0, len(shares), AT_MOST):
            self._submit(folder, shares[first : first + AT_MOST])
        self._asked = 0.0
        return len(left)

    def busy(self) -> bool:
        assert self._folder is not None, "after start"
        if time.monotonic() - self._asked >= ASK_EVERY:
            self._were_busy = bool(queued(job_name(self._folder)))
            self._asked = time.monotonic()
        return self._were_busy

    def close(self) -> None:
        """Nothing: the jobs go on, and the same command finds them."""

    def _submit(self, folder: Path, shares: Sequence[Sequence[str]]) -> None:
        submitit = optional("submitit", "--launch slurm")
        batch = uuid.uuid4().hex[:8]
        write_text(folder / "slurm" / f"{batch}.json", json.dumps(shares))
        try:
            executor = submitit.AutoExecutor(folder / "slurm" / batch, cluster="slurm")
            executor.update_parameters(name=f"{job_name(folder)}-{batch}", **self.parameters)
            executor.map_array(_Share(str(folder)), shares)
        except (RuntimeError, NameError, TypeError, ValueError, submitit.core.utils.FailedJobError) as error:
            raise UserError(f"--launch slurm: cannot submit: {' '.join(str(error).split())}") from None


class _Share:
    """What an element does; after a time-out or a preemption it is begun anew."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, keys: Sequence[str]) -> None:
        from iarbench.harness.launch.worker import work

        work(self.folder, keys)

    def checkpoint(self, keys: Sequence[str]) -> Any:
        """For submitit, which calls it before the time is up."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, keys)


def job_name(folder: Path) -> str:
    """What the jobs of the order in a folder are called, up to their batch."""
    return f"iarbench-{hashlib.sha256(str(folder).encode()).hexdigest()[:10]}"


def queued(name: str) -> list[tuple[str, str]]:
    """(job name, place in the array) of every job pending or running whose name begins so.

    Raises:
        UserError: SLURM does not answer.
    """
    for attempt in range(10):
        command = ["squeue", "--me", "--array", "--noheader", "--format=%j %K"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            raise UserError(
                "--launch slurm: there is no squeue here; submit from a login node of the cluster"
            ) from None
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            pairs = [line.split() for line in done.stdout.splitlines()]
            return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and pair[0].startswith(name)]
        time.sleep(min(30, 2**attempt))  # a controller that is restarting
    raise UserError(f"--launch slurm: squeue fails: {' '.join(done.stderr.split())}")


def held_keys(folder: Path) -> list[list[str]]:
    """The parts of every element that is pending or running."""
    found = []
    for name, place in queued(job_name(folder)):
        path = folder / "slurm" / f"{name.rpartition('-')[2]}.json"
        shares = json.loads(path.read_text(encoding="utf-8"))
        found.append(shares[int(place) if place.isdigit() else 0])  # one element alone is no array
    return found
