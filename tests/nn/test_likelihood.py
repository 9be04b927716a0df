"""The mixture of conditions against sums over whole sequences."""

from __future__ import annotations

import pytest
import torch

from iarbench.nn.likelihood import log_probabilities_of, mean_by_scale, of_mixture


def test_a_row_adds_up_to_the_mean_likelihood_of_its_sequence() -> None:
    each = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0)) - 4
    expected = (each.double().sum(-1).exp().mean(1)).log()
    torch.testing.assert_close(of_mixture(each).sum(1), expected)


def test_the_mixture_by_hand() -> None:
    # two conditions; the second token is told by what the first one said of them
    each = torch.tensor([[[0.5, 0.5], [0.25, 0.1]]]).log()
    first = (0.5 + 0.25) / 2
    second = (0.5 * 0.5 + 0.25 * 0.1) / 2 / first
    assert of_mixture(each).exp().tolist()[0] == pytest.approx([first, second], rel=1e-6)


def test_one_condition_is_itself_and_long_rows_do_not_underflow() -> None:
    each = torch.full((1, 1, 5000), -9.0)
    torch.testing.assert_close(of_mixture(each), each[:, 0].double())


def test_probabilities_of_given_tokens() -> None:
    logits = torch.randn(2, 3, 4, 2)
    tokens = torch.randint(0, 2, (2, 3, 4))
    expected = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    torch.testing.assert_close(log_probabilities_of(tokens, logits), expected)
    assert log_probabilities_of(tokens, logits.double()).dtype == torch.float64


def test_means_by_scale() -> None:
    values = torch.tensor([[1.0, 2.0, 4.0, 3.0]])
    assert mean_by_scale(values, [1, 3]).tolist() == [[1.0, 3.0]]
