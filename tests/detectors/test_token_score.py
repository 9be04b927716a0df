"""PRADA's score against the published code, and what it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from iarbench.detectors.token_score import learn_score, restored

GOLDENS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "prada.json").read_text())


@pytest.mark.parametrize("golden", GOLDENS, ids=["four scales", "one scale"])
def test_scores_of_the_published_network(golden: dict[str, Any]) -> None:
    conditional, unconditional = torch.tensor(golden["cond_uncond"]).unbind(-1)
    state = {name: torch.tensor(value) for name, value in golden["state"].items()}
    score = restored(state, golden["scale_lengths"] or [conditional.shape[1]])
    torch.testing.assert_close(score(conditional, unconditional), torch.tensor(golden["score"]), rtol=1e-6, atol=1e-7)


def material(count: int = 40) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities of 5 tokens, of which the last four are likelier given the condition in own images."""
    generator = torch.Generator().manual_seed(1)
    conditional, unconditional = torch.randn(2, count, 5, generator=generator) - 5
    own = torch.arange(count) % 4 == 0
    conditional[own, 1:] += 3
    return conditional, unconditional, own


def test_it_learns_which_scale_tells() -> None:
    conditional, unconditional, own = material()
    state = learn_score(conditional, unconditional, own, [1, 4], epochs=300)
    found = restored(state, [1, 4])(conditional, unconditional)
    assert found[own].mean() > found[~own].mean() + 3
    assert state["w"][1] > state["w"][0]
    assert state["w"].abs().sum().item() == pytest.approx(1, abs=0.2)
    again = learn_score(conditional, unconditional, own, [1, 4], epochs=300)
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_both_sides_weigh_the_same() -> None:
    conditional, unconditional, own = material()
    state = learn_score(conditional, unconditional, own, [1, 4], epochs=100)
    twice = torch.cat([conditional, conditional[~own]]), torch.cat([unconditional, unconditional[~own]])
    other = learn_score(*twice, torch.cat([own, torch.zeros(30, dtype=torch.bool)]), [1, 4], epochs=100)
    assert other["alpha"].item() == pytest.approx(state["alpha"].item(), abs=0.02)  # but for the noise
