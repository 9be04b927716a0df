"""Filters and random streams."""

from __future__ import annotations

import torch

from iarbench.nn.sampling import Greedy, Streams, filter_logits


def kept(logits: torch.Tensor) -> list[int]:
    return torch.isfinite(logits).nonzero().flatten().tolist()


def test_top_k_keeps_the_largest() -> None:
    assert kept(filter_logits(torch.tensor([1.0, 3.0, 2.0, 0.0]), top_k=2)) == [1, 2]


def test_top_p_keeps_the_token_that_crosses() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    assert kept(filter_logits(logits, top_p=0.6)) == [0, 1]
    assert kept(filter_logits(logits, top_p=0.45)) == [0]
    assert kept(filter_logits(logits, top_p=1.0)) == [0, 1, 2, 3]


def test_temperature_comes_before_top_p() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0])
    # At temperature 1 the first token holds 0.665 of the mass, at temperature 0.5 it holds 0.867.
    assert kept(filter_logits(logits, temperature=1.0, top_p=0.8)) == [0, 1]
    assert kept(filter_logits(logits, temperature=0.5, top_p=0.8)) == [0]


def test_a_draw_belongs_to_its_seed_not_to_the_batch() -> None:
    logits = torch.randn(3, 5, 17, generator=torch.Generator().manual_seed(0))
    together = Streams([7, 8, 9]).draw(logits)
    alone = torch.cat([Streams([seed]).draw(logits[i : i + 1]) for i, seed in enumerate((7, 8, 9))])
    assert together.tolist() == alone.tolist()
    assert Streams([8, 7, 9]).draw(logits).tolist() != together.tolist()


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2, 0.0]).log().expand(1, 20000, 4)
    share = torch.bincount(Streams([1]).draw(logits).flatten(), minlength=4) / 20000
    assert torch.allclose(share, torch.tensor([0.5, 0.3, 0.2, 0.0]), atol=0.012)
    assert share[3] == 0


def test_greedy_is_argmax() -> None:
    assert Greedy().draw(torch.tensor([[0.0, 2.0, 1.0]])).tolist() == [1]
