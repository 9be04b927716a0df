from __future__ import annotations

import pytest
from board_rows import row

from iarbench.results.areas import areas
from iarbench.results.rows import Row
from iarbench.results.standing_tables import of_areas

LEFT = {"jpeg75": 0.9, "jpeg50": 0.8, "noise0.1": 0.5}


def one(attack: str, target: str, value: float | None, **more: object) -> Row:
    return row(attack=attack, target=target, value=value, ssim=LEFT.get(attack), **more)


def rows_of(*found: Row) -> dict[tuple[str, str], Row]:
    return {(one.attack, one.target): one for one in found}


FOUND = rows_of(
    one("none", "a", 1.0, low=0.9, high=1.0), one("jpeg75", "a", 0.8, low=0.7, high=0.9),
    one("jpeg50", "a", 0.2, low=0.1, high=0.3), one("noise0.1", "a", 0.5),
    one("none", "b", 0.6, low=0.5, high=0.7), one("jpeg75", "b", 0.4, low=0.3, high=0.5),
    one("jpeg50", "b", 0.0, low=0.0, high=0.1), one("noise0.1", "b", 0.5),
)  # fmt: skip


def test_worst_target_first_then_the_mean() -> None:
    found = areas(FOUND)
    assert [(area.kind, area.target) for area in found] == [("jpeg", "b"), ("jpeg", "a"), ("jpeg", None)]
    worst, other, mean = found
    assert worst.attacks == ("none", "jpeg75", "jpeg50")
    # strengths 0, 25, 50: a quarter, a half, a quarter
    assert worst.over_strength.value == pytest.approx(0.6 / 4 + 0.4 / 2)
    assert (worst.over_strength.low, worst.over_strength.high) == pytest.approx((0.275, 0.45))
    assert other.over_strength.value == pytest.approx(1 / 4 + 0.8 / 2 + 0.2 / 4)
    assert mean.over_strength.value == pytest.approx((0.35 + 0.7) / 2)
    # SSIM lost: 0, 0.1, 0.2, the same steps here
    assert worst.over_ssim is not None
    assert worst.over_ssim.value == pytest.approx(0.35)
    assert not worst.at_threshold


def test_a_curve_needs_two_strengths_and_every_number() -> None:
    assert areas({where: found for where, found in FOUND.items() if where[0] != "jpeg75"}) == []
    lacking = {**FOUND, ("jpeg50", "b"): one("jpeg50", "b", None, reason="too few")}
    assert [(area.kind, area.target) for area in areas(lacking)] == [("jpeg", "a")]


def test_without_clean_images_it_begins_at_the_weakest_and_ssim_may_be_unknown() -> None:
    found = areas(
        rows_of(row(attack="jpeg90", value=0.8), row(attack="jpeg50", value=0.4), row(attack="jpeg80", value=0.6))
    )
    (area,) = found
    assert (area.attacks, area.over_ssim) == (("jpeg90", "jpeg80", "jpeg50"), None)
    assert area.over_strength.value == pytest.approx((0.7 * 10 + 0.5 * 30) / 40)


def test_the_table_has_the_best_worst_target_first() -> None:
    weak = {where: found.model_copy(update={"value": (found.value or 0) / 2, "interval": "at-threshold"})
            for where, found in FOUND.items()}  # fmt: skip
    table = of_areas({("weak", "inverse"): areas(weak), ("plain", "inverse"): areas(FOUND)}, "TPR@1%")
    assert table.grid[0] == ["detector", "encoder", "attacks", "worst target", "area", "mean area", "over SSIM"]
    assert table.grid[1] == [
        "plain", "inverse", "none jpeg75 jpeg50", "b", "35.0 [27.5, 45.0]", "52.5 [43.8, 61.2]", "35.0 [27.5, 45.0]"
    ]  # fmt: skip
    assert table.grid[2][4].endswith("]*")
    assert len(of_areas({("plain", "inverse"): areas(FOUND)}, "TPR@1%", every=True).grid) == 4
    assert [record["target"] for record in table.records] == ["b", "a", None] * 2
