"""What the rows of a provenance task need to know of it: its targets, non-member sets, attacks and rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from iarbench.errors import UserError
from iarbench.results.image_index import Most, Sources
from iarbench.results.rows import METRICS, MIRRORED, OTHERS, POOLED, TPR


@dataclass(frozen=True, slots=True)
class ResultTask:
    """What the rows need to know of a task.

    `real_sets`: name of each set of real images -> its sources; `pooled`: those of them that are part of `pooled`, None
    for all. The images of every other one of `generators` are a non-member set under that generator's name, and
    together they are the set `other-generators`. `mirrored`: whether the target's own images, mirrored, are a set too,
    scored under attacks that are not among `attacks`, the ones that rows are about. `siblings`: generator -> others
    with the same tokenizer; each is a set of its own, but part of other sets only for detectors that can tell it from
    the target. `most`: target -> (source, how many of its images in each split take part, the first by id), for sources
    of which not all do. `attacked`: the side that attacks act on; calibration images are treated as the test
    non-members are. Raises UserError on what cannot be meant.
    """

    name: str
    version: int
    targets: tuple[str, ...]
    generators: tuple[str, ...]
    real_sets: Mapping[str, Sources]
    pooled: tuple[str, ...] | None = None
    mirrored: bool = False
    attacks: tuple[str, ...] = ()
    siblings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    most: Mapping[str, Most] = field(default_factory=dict)
    fprs: tuple[float, ...] = (0.01,)
    metrics: tuple[str, ...] = METRICS
    primary: str = TPR
    attacked: Literal["both", "members", "nonmembers"] = "both"
    member_split: str = "test"
    nonmember_split: str = "test"
    calibration_split: str = "calibration"

    def __post_init__(self) -> None:
        if unknown := [metric for metric in self.metrics if metric not in METRICS]:
            raise UserError(f"task {self.name}: unknown metric {unknown[0]!r}; allowed: {', '.join(METRICS)}")
        if bad := [fpr for fpr in self.fprs if not 0 < fpr < 1]:
            raise UserError(f"task {self.name}: FPR {bad[0]} is not between 0 and 1; write 1% as 0.01")
        if taken := set(self.real_sets) & {POOLED, OTHERS, MIRRORED, *self.generators}:
            raise UserError(
                f"task {self.name}: {min(taken)!r} names a set of real images and something else; rename the set"
            )
        if self.calibration_split in (self.member_split, self.nonmember_split):
            raise UserError(f"task {self.name}: calibration split {self.calibration_split!r} is also a test split")

    def nonmember_sets(self, target: str, *, tells_siblings: bool = False) -> dict[str, tuple[Sources, ...]]:
        """Set name -> the equally weighted parts it consists of, for one target; `tells_siblings`: whether the detector
        reads more than what generators with one tokenizer share.

        `pooled` has all that a score could tell from the target: each pooled set of real images, and the images of all
        other generators as one set, so that photographs do not weigh the less the more generators there are. These come
        first, then `pooled`, then each generator alone.
        """
        sets = dict(self.real_sets)
        if others := self._others(target, tells_siblings):
            sets[OTHERS] = others
        parts = tuple(sets[name] for name in self.pools(target, tells_siblings=tells_siblings))
        single = {name: ((name,),) for name in self.generators if name != target}
        if self.mirrored:
            single[MIRRORED] = ((target,),)
        return {name: (sources,) for name, sources in sets.items()} | ({POOLED: parts} if parts else {}) | single

    def pools(self, target: str, *, tells_siblings: bool = False) -> tuple[str, ...]:
        """Names of the sets that `pooled` consists of, for one target."""
        real = tuple(self.real_sets) if self.pooled is None else self.pooled
        return (*real, OTHERS) if self._others(target, tells_siblings) else real

    def _others(self, target: str, tells_siblings: bool) -> Sources:
        siblings = () if tells_siblings else self.siblings.get(target, ())
        return tuple(name for name in self.generators if name != target and name not in siblings)
