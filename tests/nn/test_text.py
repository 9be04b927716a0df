"""Prompts as features: a prompt's own, whatever stands beside it, and gradients where the encoder is trained."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from iarbench.errors import UserError
from iarbench.nn.text import ByteEncoder, T5Encoder, pack


@pytest.fixture(scope="module")
def encoder() -> ByteEncoder:
    torch.manual_seed(0)
    return ByteEncoder(channels=16, max_tokens=12).eval()


def test_a_prompt_has_its_own_features_in_any_company(encoder: ByteEncoder) -> None:
    alone = encoder(["lion"])
    together = encoder(["a much longer prompt", "lion", ""])
    assert together.lengths == (12, 5, 1)  # cut at the limit; one token a byte and the end mark
    assert torch.equal(together.split()[1], alone.features)


def test_words_matter_and_case_does_not(encoder: ByteEncoder) -> None:
    assert not torch.allclose(encoder(["lion"]).features, encoder(["loin"]).features, atol=1e-3)
    assert torch.equal(encoder(["LION"]).features, encoder(["lion"]).features)


def test_it_learns_with_the_model_it_serves(encoder: ByteEncoder) -> None:
    encoder(["lion", "lion", "alp"]).features.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in [encoder.positions, encoder.embedding.weight])


def test_padding_is_marked() -> None:
    words, real = pack([torch.ones(1, 4), torch.ones(3, 4)]).padded()
    assert words.shape == (2, 3, 4)
    assert real.tolist() == [[True, False, False], [True, True, True]]
    assert words[0, 1:].abs().sum() == 0


def test_a_t5_without_transformers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'iarbench\[t2i\]'"):
        T5Encoder("google/flan-t5-xl", max_tokens=8)


def test_a_t5_comes_through_the_one_door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`transformers` is told where the files lie and fetches nothing itself."""

    class Model:
        def __getattr__(self, name: str) -> Any:
            return lambda *args: self

        @staticmethod
        def from_pretrained(place: Path, **options: object) -> Model:
            asked.append((place, options.get("local_files_only")))
            return Model()

    asked: list[tuple[Path, object]] = []
    stub = SimpleNamespace(AutoTokenizer=Model, T5EncoderModel=Model)
    monkeypatch.setitem(sys.modules, "transformers", stub)
    monkeypatch.setitem(sys.modules, "sentencepiece", stub)
    monkeypatch.setattr("iarbench.nn.text.fetch_folder", lambda name, patterns: tmp_path / name)
    T5Encoder("google/flan-t5-xl", max_tokens=8)
    T5Encoder(str(tmp_path), max_tokens=8)
    assert asked == [(tmp_path / "google/flan-t5-xl", True)] * 2 + [(tmp_path, True)] * 2


def test_in_training_prompts_go_through_together_and_keep_their_features(encoder: ByteEncoder) -> None:
    prompts = ["a much longer prompt", "lion", "", "lion"]
    alone = encoder(prompts)
    try:
        together = encoder.train()(prompts)
    finally:
        encoder.eval()
    assert together.lengths == alone.lengths
    assert torch.allclose(together.features, alone.features, atol=1e-5)
