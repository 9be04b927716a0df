"""What the rows of an attribution task need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iarbench.results.image_index import Sources


@dataclass(frozen=True, slots=True)
class AttributionTask:
    """`targets`: the known generators. `generators`: all whose images there are; those beyond the targets are unknown,
    except for siblings of a target, which are left out. `real`: sources of real images; `pooled`: those of them that
    calibrate and stand for "none" in the balanced accuracy. `families`: generator -> name of the family of those with
    its tokenizer.
    """

    name: str
    version: int
    targets: tuple[str, ...]
    generators: tuple[str, ...]
    real: tuple[str, ...]
    pooled: tuple[str, ...]
    families: Mapping[str, str]
    fprs: tuple[float, ...] = (0.01,)
    test_split: str = "test"
    calibration_split: str = "calibration"

    def family(self, source: str) -> str:
        """The family of a generator, by default its name."""
        return self.families.get(source, source)

    def known(self, left_out: str | None = None) -> tuple[str, ...]:
        """The targets, without a family that is left out."""
        return tuple(name for name in self.targets if self.family(name) != left_out)

    def known_families(self, left_out: str | None = None) -> dict[str, Sources]:
        """Family -> its targets."""
        found: dict[str, Sources] = {}
        for name in self.known(left_out):
            found[self.family(name)] = (*found.get(self.family(name), ()), name)
        return found

    def unknown(self, left_out: str | None = None) -> tuple[str, ...]:
        """Generators whose images none of the known ones made, nor a sibling of theirs."""
        known = {self.family(name) for name in self.known(left_out)}
        return tuple(name for name in self.generators if self.family(name) not in known)
