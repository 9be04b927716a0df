from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from iarbench.detector import Detector, apply, mse
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.registry import DETECTORS
from iarbench.testing import ToyTokenizer, toy_images, toy_target


class Counting(ToyTokenizer):
    """A toy that counts its passes."""

    def __init__(self) -> None:
        super().__init__({"cell": 4}, 16)
        self.calls: dict[str, int] = {"encode": 0, "decode": 0, "quantize": 0}

    def encode_native(self, images):
        self.calls["encode"] += 1
        return super().encode_native(images)

    def decode_native(self, features):
        self.calls["decode"] += 1
        return super().decode_native(features)

    def quantize(self, features):
        self.calls["quantize"] += 1
        return super().quantize(features)


class Slow(ToyTokenizer):
    """A toy whose encoder takes 30 s and whose decoder takes 10 s, on its own clock."""

    now = 0.0

    def encode_native(self, images):
        self.now += 30
        return super().encode_native(images)

    def decode_native(self, features):
        self.now += 10
        return super().decode_native(features)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Evidence:
    tokenizer = Slow({"cell": 4}, 16)
    monkeypatch.setattr(Evidence, "_now", lambda self: tokenizer.now)
    return evidence(tokenizer, count=4)


def evidence(tokenizer: ToyTokenizer, count: int = 4) -> Evidence:
    images = torch.from_numpy(toy_images(count, 0, None)).permute(0, 3, 1, 2).float() / 255
    target = toy_target()
    object.__setattr__(target, "tokenizer", tokenizer)
    return Evidence(target, images)


def passes(*names: str) -> dict[str, int]:
    tokenizer = Counting()
    seen = evidence(tokenizer)
    for name in names:
        apply(DETECTORS.get(name)(), seen)
    return tokenizer.calls


def test_quantloss_costs_one_encoder_pass_and_one_quantisation() -> None:
    assert passes("quantloss") == {"encode": 1, "decode": 0, "quantize": 1}


def test_four_detectors_share_their_passes() -> None:
    assert passes("quantloss", "encloss", "combined", "reconstruction") == {"encode": 2, "decode": 3, "quantize": 1}


def test_each_alone_makes_only_the_passes_it_needs() -> None:
    assert passes("encloss") == {"encode": 2, "decode": 2, "quantize": 0}
    assert passes("combined") == {"encode": 2, "decode": 2, "quantize": 1}
    assert passes("reconstruction") == {"encode": 1, "decode": 1, "quantize": 1}


def test_seconds_are_those_of_a_detector_alone_although_passes_are_shared(slow: Evidence) -> None:
    names = ("combined", "quantloss", "reconstruction", "encloss")
    seconds = {name: apply(DETECTORS.get(name)(), slow).seconds * 4 for name in names}
    assert seconds == {"quantloss": 30, "reconstruction": 40, "encloss": 80, "combined": 80}
    assert slow.target.tokenizer.now == 90  # type: ignore[attr-defined]


def test_signal_seconds_leave_out_what_a_signal_was_made_from(slow: Evidence) -> None:
    _ = slow.x_hat_hat
    assert slow.seconds == {"f": 30, "x_hat": 10, "x_hat_hat": 40}


def test_own_signals_are_computed_once_and_without_gradients() -> None:
    seen = evidence(Counting())
    made = []

    def compute() -> torch.Tensor:
        made.append(torch.is_grad_enabled())
        return seen.f * 2

    assert torch.equal(seen.signal("twice f", compute), seen.signal("twice f", compute))
    assert made == [False]


def test_bfloat16_computes_signals_in_float32_type_near_the_exact_ones() -> None:
    exact = evidence(ToyTokenizer({"cell": 4}, 16))
    coarse = Evidence(exact.target, exact.images, precision="bfloat16")
    assert coarse.x_hat_quant.dtype == coarse.f.dtype == torch.float32
    torch.testing.assert_close(coarse.f, exact.f, atol=0.01, rtol=0.01)


def test_mse_is_a_mean_for_each_image() -> None:
    a = torch.tensor([[[1.0, 2.0]], [[0.0, 0.0]]])
    assert mse(a, torch.zeros(2, 1, 2)).tolist() == [2.5, 0.0]


class Wrong(Detector):
    name: ClassVar[str] = "wrong"

    def score(self, evidence: Evidence) -> dict[str, torch.Tensor]:
        return {"wrong": evidence.f}


class Likelihood(Wrong):
    name: ClassVar[str] = "likely"
    requires: ClassVar[frozenset[str]] = frozenset({"likelihood"})


def test_a_score_of_another_shape_is_named() -> None:
    with pytest.raises(UserError, match=r"detector 'wrong'.*\(2, 3, 4, 4\) for 2 images.*\(2,\)"):
        apply(Wrong(), evidence(Counting(), count=2))


def test_a_capability_that_the_tokenizer_lacks_is_named() -> None:
    with pytest.raises(UserError, match="'likely' needs likelihood, which toy-a has not"):
        apply(Likelihood(), evidence(Counting()))
