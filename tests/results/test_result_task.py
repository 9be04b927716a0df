"""A task as rows know it."""

from __future__ import annotations

import pytest
import run_folder

from iarbench.errors import UserError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ("f1",)}, "unknown metric 'f1'; allowed: tpr_at_fpr, auroc"),
        ({"fprs": (1.0,)}, "FPR 1.0 is not between 0 and 1"),
        ({"real_sets": {"pooled": ("photos",)}}, "'pooled' names a set of real images and something else"),
        ({"real_sets": {"beta-mini": ("photos",)}}, "'beta-mini' names a set of real images and something else"),
        ({"calibration_split": "test"}, "calibration split 'test' is also a test split"),
    ],
)
def test_tasks_that_cannot_be_meant(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_folder.task(**changes)
