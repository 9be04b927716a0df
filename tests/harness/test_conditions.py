"""Prompts that a transformer is asked with are part of what a score depends on."""

from __future__ import annotations

import pytest

from iarbench.harness.plan import Settings
from iarbench.harness.run import prepare
from iarbench.models import variants
from iarbench.task import Task


@pytest.mark.parametrize(("detector", "changes"), [("likelihood", True), ("encloss", False)])
def test_other_prompts_are_other_scores(detector: str, changes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def parts() -> list[str]:
        task = Task.load("mini").narrowed(
            detectors=[detector], targets=["infinity-mini"], encoders=["inverse"], attacks=["none"]
        )
        return [part.key for part in prepare(task, Settings(device="cpu", limit=2)).parts]

    before = parts()
    known = variants.get("infinity-mini")
    other = known.model_copy(update={"classes": ("a cat", *(known.classes or ())[1:])})
    monkeypatch.setitem(variants._all().variants, "infinity-mini", other)
    assert (parts() != before) == changes
