"""Targets that share weights: loaded once, computed once, stored each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import torch
from toys import Toys, run

from iarbench.detector import apply
from iarbench.detectors.quantloss import QuantLoss
from iarbench.evidence import Evidence
from iarbench.harness import targets
from iarbench.harness.execute import decide
from iarbench.harness.plan import Settings
from iarbench.models import variants
from iarbench.testing import ToyTokenizer, toy_target, write_toy_family

COUNTED = ("encode_native", "decode_native", "quantize")


@pytest.fixture
def twins(toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toys:
    """toy-b has the weights of toy-a, toy-c has others."""
    family = write_toy_family(tmp_path / "f", {"toy-a": 0, "toy-b": 0, "toy-c": 25})
    monkeypatch.setenv("IARBENCH_GENERATORS", str(family))
    variants._all.cache_clear()
    return toy_family


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many images went through each pass of any toy."""
    found: Counter[str] = Counter()

    def counting(name: str):
        original = getattr(ToyTokenizer, name)

        def counted(self, tensor):
            found[name] += len(tensor)
            return original(self, tensor)

        return counted

    for name in COUNTED:
        monkeypatch.setattr(ToyTokenizer, name, counting(name))
    return found


def test_each_distinct_weights_hash_is_loaded_once(twins: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = targets.load_target
    monkeypatch.setattr(targets, "load_target", lambda *args: loads.append(args[:2]) or load(*args))
    wanted = [(variants.get(name), e, False) for name in ("toy-a", "toy-b", "toy-c") for e in ("original", "inverse")]
    found = targets.load_targets(wanted, decide(Settings(device="cpu")))
    assert loads == [(name, encoder) for name in ("toy-a", "toy-c") for encoder in ("original", "inverse")]
    assert list(found) == [(target.name, target.encoder, False) for target in found.values()]
    for encoder in ("original", "inverse"):
        one, twin, other = (found[name, encoder, False] for name in ("toy-a", "toy-b", "toy-c"))
        assert one.tokenizer is twin.tokenizer is not other.tokenizer
        assert one.weights_hash == twin.weights_hash != other.weights_hash
    assert found["toy-a", "original", False].tokenizer is not found["toy-a", "inverse", False].tokenizer


def test_the_same_file_in_another_configuration_is_another_tokenizer(twins: Toys) -> None:
    a, b = variants.get("toy-a"), variants.get("toy-b").model_copy(update={"tokenizer": {"cell": 8}})
    found = targets.load_targets([(a, "original", False), (b, "original", False)], decide(Settings(device="cpu")))
    assert found["toy-a", "original", False].tokenizer is not found["toy-b", "original", False].tokenizer


def test_shared_weights_are_computed_once_and_stored_for_each(twins: Toys, calls: Counter[str], tmp_path: Path) -> None:
    args = ("--detector", "quantloss,combined", "--attack", "none", "--target")
    names = ["detector", "encoder", "image_id"]
    alone = run(twins, tmp_path / "alone", *args, "toy-a").reset_index()
    spent = dict(calls)
    calls.clear()
    both = run(twins, tmp_path / "both", *args, "toy-a,toy-b").reset_index()
    a, b = (both[both["target"] == name].set_index(names)["score"] for name in ("toy-a", "toy-b"))
    pd.testing.assert_series_equal(a, alone.set_index(names)["score"])
    seen = a.index.intersection(b.index)  # all but the calibration images of the two, which only the other looks at
    assert len(a) == len(b) == 2 * 2 * 125
    assert len(seen) == 2 * 2 * 100
    pd.testing.assert_series_equal(a[seen], b[seen])
    encoders, warm_up = 2, 2
    for name, passes in (("encode_native", 2), ("quantize", 1), ("decode_native", 2)):
        first = warm_up * encoders
        # 25 images of a source and split go through in two pieces of 16
        assert (spent[name] - first, calls[name] - first) == (5 * 32 * passes * encoders, 6 * 32 * passes * encoders)


def test_a_detector_sees_its_own_target_and_what_it_costs_alone() -> None:
    one = toy_target("one")
    first = Evidence(one, torch.rand(3, 3, 16, 16))
    scored = apply(QuantLoss(), first)
    other = first.seen_by(toy_target("other"))
    again = apply(QuantLoss(), other)
    assert other.target.name == "other"
    assert again.scores == scored.scores
    assert again.seconds >= (first.seconds["f"] + first.seconds["quantized"]) / 3
