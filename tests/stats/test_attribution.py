from __future__ import annotations

import numpy as np
import pytest

from iarbench.errors import UserError
from iarbench.stats.attribution import NONE, UNDECIDED, attribute, holm
from iarbench.stats.thresholds import ScoreError

LADDER = np.arange(1.0, 100)  # p of 100 is 1/100, of 98.5 is 2/100, of 50 is 51/100


def test_the_target_with_the_smallest_p_value() -> None:
    found = attribute({"a": 50.0, "b": 100.0}, {"a": {"real": LADDER}, "b": {"real": LADDER}})
    assert (found.decision, found.candidates, found.alpha) == ("b", ("b",), 0.05)
    first, second = found.verdicts
    assert (first.target, first.score, first.p_value, first.p_adjusted) == ("b", 100, 0.01, 0.02)
    assert (second.target, second.p_value, second.p_adjusted) == ("a", 0.51, 0.51)


def test_none_of_them() -> None:
    found = attribute({"a": 50.0, "b": 96.5}, {"a": {"real": LADDER}, "b": {"real": LADDER}})
    assert (found.decision, found.candidates) == (NONE, ())
    assert found.verdicts[0].p_adjusted == pytest.approx(0.08)


def test_the_hardest_set_counts() -> None:
    sets = {"real": LADDER, "b": LADDER + 1000}
    found = attribute({"a": 500.0}, {"a": sets})
    assert found.decision == NONE
    assert (found.verdicts[0].p_value, found.verdicts[0].closest_set) == (1, "b")
    assert attribute({"a": 2000.0}, {"a": sets}).decision == "a"


def test_a_shared_tokenizer_is_answered_as_a_family() -> None:
    families = {"var-d16": "var", "var-d30": "var", "rar-b": "rar"}
    # a sibling's images score like one's own: were they non-members, no VAR image would ever be found
    calibration = {
        "var-d16": {"real": LADDER, "var-d30": LADDER + 1000, "rar-b": LADDER},
        "var-d30": {"real": LADDER, "var-d16": LADDER + 1000, "rar-b": LADDER},
        "rar-b": {"real": LADDER, "var-d16": LADDER, "var-d30": LADDER},
    }
    scores = {"var-d16": 1000.0, "var-d30": 1000.0, "rar-b": 3.0}
    found = attribute(scores, calibration, families=families)
    assert (found.decision, found.candidates) == ("var", ("var-d16", "var-d30"))
    assert attribute(scores, calibration).decision == NONE


def test_a_tie_of_unrelated_targets_is_not_decided() -> None:
    found = attribute({"a": 500.0, "b": 500.0}, {"a": {"real": LADDER}, "b": {"real": LADDER}})
    assert (found.decision, found.candidates) == (UNDECIDED, ("a", "b"))


def test_a_score_that_is_not_a_number_is_never_surprising() -> None:
    found = attribute({"a": float("nan"), "b": float("inf")}, {"a": {"real": LADDER}, "b": {"real": LADDER}})
    assert found.decision == NONE
    assert [verdict.p_value for verdict in found.verdicts] == [1, 1]


def test_calibration_too_small_to_name_anyone() -> None:
    with pytest.raises(UserError, match=r"alpha 0.01 over 2 targets needs 199 .* real of a has 99: raise --alpha"):
        attribute({"a": 1.0, "b": 1.0}, {"a": {"real": LADDER}, "b": {"real": LADDER}}, alpha=0.01)
    with pytest.raises(UserError, match="no calibration non-members for a"):
        attribute({"a": 1.0}, {"a": {"b": LADDER}}, families={"a": "f", "b": "f"})


def test_calibration_must_be_finite() -> None:
    with pytest.raises(ScoreError, match="1 of 99 scores are not finite"):
        attribute({"a": 1.0}, {"a": {"real": np.where(LADDER == 5, np.nan, LADDER)}})


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .5: times 4 3 2 1 and never decreasing
    found = holm({"a": 0.5, "b": 0.01, "c": 0.03, "d": 0.02})
    assert found == pytest.approx({"b": 0.04, "d": 0.06, "c": 0.06, "a": 0.5})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


def test_false_attribution_stays_below_alpha() -> None:
    """Images of no target: independent scores for three targets, two unlike non-member sets each."""
    rng = np.random.default_rng(0)
    named = 0
    for _ in range(400):
        sets = {t: {"real": rng.normal(size=80), "other": rng.normal(-1, 1, 80)} for t in "abc"}
        named += attribute(dict(zip("abc", rng.normal(size=3), strict=True)), sets, alpha=0.1).decision != NONE
    assert 0.03 < named / 400 < 0.13
