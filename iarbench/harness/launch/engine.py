"""What carries parts to processes: the interface, and the choice of the command line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from iarbench.errors import UserError

ENGINES = ("local", "slurm", "ray")
NEEDS = {"jobs": ENGINES, "slurm": ("slurm",), "address": ("ray",)}
"""Option -> the engines that it is for."""

ATTEMPTS = 3
"""How often a part is begun before it is set aside."""


class Engine(ABC):
    """Carries keys of parts to processes. What became of them is read from the folder, not returned."""

    @abstractmethod
    def start(self, folder: Path, keys: Sequence[str]) -> int:
        """Have these parts of the order in a folder done; how many of them it was not having done already.

        Raises:
            UserError: it cannot.
        """

    @abstractmethod
    def busy(self) -> bool:
        """Whether any process is still to come or at work. Raises UserError when nobody can go on."""

    @abstractmethod
    def close(self) -> None:
        """End the processes that would not be found again."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What --launch, --jobs, --slurm and --address say."""

    engine: str
    """One of `ENGINES`."""
    jobs: int | None = None
    """processes at a time; None: one a GPU, or one a core where there is none"""
    slurm: Mapping[str, str | int] = field(default_factory=dict)
    """parameters of submitit, such as partition and timeout_min"""
    address: str = "auto"
    """of a Ray cluster"""

    def __str__(self) -> str:
        return self.engine if self.jobs is None else f"{self.engine}, {self.jobs} jobs"

    def make(self, device: str) -> Engine:
        """The engine, for work that asks for `device`.

        Raises:
            UserError: there is none of it here.
        """
        if self.engine == "local":
            from iarbench.harness.launch.processes import Processes

            return Processes(self.jobs, device)
        if self.engine == "slurm":
            from iarbench.harness.launch.slurm_arrays import SlurmArrays

            return SlurmArrays(self.jobs or 1, self.slurm, device)
        if self.engine == "ray":
            from iarbench.harness.launch.ray_actors import RayActors

            return RayActors(self.jobs, self.address, device)
        raise UserError(f"--launch {self.engine}: choose {', '.join(ENGINES)}")
