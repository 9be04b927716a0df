"""Prompts as features for text-conditional transformers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from iarbench.errors import UserError


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """Encoded prompts, packed: ``features`` float32 (sum(lengths), C), prompt 0 first, and each prompt's length."""

    features: Tensor
    lengths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lengths)

    def split(self) -> tuple[Tensor, ...]:
        """One (length, C) tensor a prompt."""
        return self.features.split(list(self.lengths))

    def join(self, other: TextFeatures) -> TextFeatures:
        """These prompts, then those of ``other``."""
        return TextFeatures(torch.cat([self.features, other.features]), self.lengths + other.lengths)

    def padded(self) -> tuple[Tensor, Tensor]:
        """Features (B, T, C) filled with zeros to the longest prompt, and where they are real, bool (B, T)."""
        padded = torch.nn.utils.rnn.pad_sequence(list(self.split()), batch_first=True)
        lengths = torch.tensor(self.lengths, device=padded.device)
        return padded, torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]


def pack(parts: Sequence[Tensor]) -> TextFeatures:
    """The features (length, C) of each prompt as one :class:`TextFeatures`."""
    return TextFeatures(torch.cat(list(parts)), tuple(len(part) for part in parts))


class TextEncoder(Protocol):
    """Turns prompts into features; each prompt's features depend on that prompt alone."""

    def __call__(self, prompts: Sequence[str]) -> TextFeatures: ...


class WordVectors:
    """A fixed random unit-variance vector for every word: enough text for a small model that knows a few captions."""

    def __init__(self, channels: int, max_words: int) -> None:
        self.channels = channels
        self.max_words = max_words

    def __call__(self, prompts: Sequence[str]) -> TextFeatures:
        return pack([torch.stack([self.vector(word) for word in self.words(prompt)]) for prompt in prompts])

    def words(self, prompt: str) -> list[str]:
        """Lower-case words of ``prompt`` and an end mark, so that no prompt is empty."""
        return [*re.findall(r"\w+", prompt.lower())[: self.max_words - 1], "</s>"]

    def vector(self, word: str) -> Tensor:
        """The word's vector (C,), the same on every machine."""
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        return torch.from_numpy(np.random.default_rng(seed).standard_normal(self.channels).astype(np.float32))


class T5Encoder:
    """The encoder of a T5 model from the Hugging Face Hub, loaded at once; needs the ``t2i`` extra.

    Prompts are cut at ``max_tokens``. They go through the model one by one, so that no prompt's features depend on
    the padding of others.
    """

    def __init__(self, name: str, max_tokens: int, device: torch.device | str = "cpu") -> None:
        try:
            from transformers import AutoTokenizer, T5EncoderModel
        except ImportError:
            raise UserError(
                f"prompts are encoded with {name}, which needs transformers: pip install 'iarbench[t2i]'"
            ) from None
        self.max_tokens = max_tokens
        self.device = device
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self.model: Any = T5EncoderModel.from_pretrained(name).eval().requires_grad_(False).to(device)
        except OSError as error:
            raise UserError(f"cannot load the text encoder {name} ({str(error).splitlines()[0][:160]})") from None

    @torch.no_grad()  # not inference_mode: transformers are trained on these features
    def __call__(self, prompts: Sequence[str]) -> TextFeatures:
        return pack([self.encode(prompt) for prompt in prompts])

    def encode(self, prompt: str) -> Tensor:
        """Features float32 (tokens, C) of one prompt."""
        encoded = self.tokenizer(prompt, max_length=self.max_tokens, truncation=True, return_tensors="pt")
        return self.model(input_ids=encoded.input_ids.to(self.device)).last_hidden_state[0].float()
