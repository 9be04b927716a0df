"""Which of the known generators made this image, if any?

Every target T gives the image a score and has calibration non-members, in named sets (real photographs, other
generators' images). "Not made by T" is a composite hypothesis, so its p-value is the largest over the sets: valid
whichever of them the image resembles. Holm's correction over the targets keeps the chance of naming any generator for
an image of none at alpha. Targets that share a tokenizer cannot be told apart by scores of that tokenizer: they form a
family, a sibling's images are no evidence against T, and the answer is the family.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from iarbench.errors import UserError
from iarbench.stats.thresholds import FloatArray, Scores, p_values

NONE = "none of them"
UNDECIDED = "more than one of them"

SetScores = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one target says: its score (higher = more likely its own), the p-value of "not made by it" before and after
    Holm's correction, and the non-member set that the image resembles most."""

    target: str
    family: str
    score: float
    p_value: float
    p_adjusted: float
    closest_set: str


@dataclass(frozen=True, slots=True)
class Attribution:
    """The answer for one image.

    `decision`: a target; a family, when its tested members cannot be told apart; NONE; or UNDECIDED, when unrelated
    targets tie. `candidates`: the targets that it stands for. `verdicts`: the most likely target first.
    """

    decision: str
    candidates: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    alpha: float


def attribute(
    scores: Mapping[str, float],
    calibration: Mapping[str, SetScores],
    *,
    families: Mapping[str, str] | None = None,
    alpha: float = 0.05,
) -> Attribution:
    """Attribute one image. `scores`: target -> its score; `calibration`: target -> non-member set name -> scores (n,).

    `families`: target -> name of its tokenizer family; by default each target is its own. Raises UserError when the
    calibration is too small for any answer but NONE, ScoreError when it is not finite.
    """
    families = families or {}
    family_of = {target: families.get(target, target) for target in scores}
    against = {target: _unrelated(target, calibration[target], families) for target in scores}
    _check_large_enough(against, alpha)
    tested = {target: _p_value(scores[target], against[target]) for target in scores}
    adjusted = holm({target: p for target, (p, _) in tested.items()})
    verdicts = [Verdict(t, family_of[t], float(scores[t]), tested[t][0], adjusted[t], tested[t][1]) for t in scores]
    return _decide(sorted(verdicts, key=lambda verdict: (verdict.p_value, verdict.target)), alpha)


def _unrelated(target: str, sets: SetScores, families: Mapping[str, str]) -> SetScores:
    """The sets that are not a sibling's, whose images score like the target's own."""
    own = families.get(target, target)
    kept = {name: values for name, values in sets.items() if families.get(name, name) != own}
    if not kept:
        raise UserError(f"no calibration non-members for {target}: give real images or another family's")
    return kept


def _check_large_enough(against: Mapping[str, SetScores], alpha: float) -> None:
    needed = math.ceil(len(against) / alpha) - 1
    for target, sets in against.items():
        if small := [name for name, values in sets.items() if len(values) < needed]:
            raise UserError(
                f"alpha {alpha:g} over {len(against)} targets needs {needed} calibration images in every set; "
                f"{small[0]} of {target} has {len(sets[small[0]])}: raise --alpha or add images"
            )


def _p_value(score: float, sets: SetScores) -> tuple[float, str]:
    """The largest p-value over the sets, and the set it comes from."""
    # a score that is not a number must never look surprising
    p = {name: float(p_values(score, Scores.of(v))[0]) if math.isfinite(score) else 1.0 for name, v in sets.items()}
    closest = max(sorted(p), key=lambda name: p[name])
    return p[closest], closest


def _decide(verdicts: list[Verdict], alpha: float) -> Attribution:
    first = verdicts[0]
    if first.p_adjusted > alpha:
        return Attribution(NONE, (), tuple(verdicts), alpha)
    best = [verdict for verdict in verdicts if verdict.p_value == first.p_value]
    if len({verdict.family for verdict in best}) > 1:
        return Attribution(UNDECIDED, tuple(verdict.target for verdict in best), tuple(verdicts), alpha)
    members = tuple(verdict.target for verdict in verdicts if verdict.family == first.family)
    return Attribution(first.family if len(members) > 1 else first.target, members, tuple(verdicts), alpha)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p-values: rejecting those <= alpha keeps the family-wise error at alpha."""
    adjusted: dict[str, float] = {}
    running = 0.0
    for place, name in enumerate(sorted(p, key=lambda name: (p[name], name))):
        running = max(running, min(1.0, (len(p) - place) * p[name]))
        adjusted[name] = running
    return adjusted
