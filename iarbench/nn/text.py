"""Prompts as features for text-conditional transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from iarbench.errors import UserError
from iarbench.extras import optional
from iarbench.hub import fetch_folder
from iarbench.nn.precision import at_least_float32


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


class ByteEncoder(nn.Module):
    """A small transformer over the UTF-8 bytes of a prompt, trained together with the image model that it serves.

    Prompts are cut at ``max_tokens`` - 1 bytes and closed by an end mark, so that none is empty. While it trains they
    go through together, padded, with the padding masked; else each goes alone, for the rounding of a product may depend
    on the size of the batch, and an image is to depend on its own prompt.
    """

    END = 256

    def __init__(self, channels: int, max_tokens: int, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.max_tokens = max_tokens
        self.embedding = nn.Embedding(self.END + 1, channels)
        self.positions = nn.Parameter(torch.zeros(max_tokens, channels))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(channels, heads, 2 * channels, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )

    def forward(self, prompts: Sequence[str]) -> TextFeatures:
        distinct = list(dict.fromkeys(prompts))
        groups = [distinct] if self.training else [[prompt] for prompt in distinct]
        known = {p: row for group in groups for p, row in zip(group, self.encode(group), strict=True)}
        return pack([known[prompt] for prompt in prompts])

    def encode(self, prompts: Sequence[str]) -> list[Tensor]:
        """Features float32 (bytes + 1, C) of each prompt."""
        codes = [torch.tensor([*p.lower().encode()[: self.max_tokens - 1], self.END]) for p in prompts]
        padded = nn.utils.rnn.pad_sequence(codes, batch_first=True, padding_value=-1).to(self.positions.device)
        padding = padded < 0 if len(prompts) > 1 else None
        x = self.embedding(padded.clamp(min=0)) + self.positions[: padded.shape[1]]
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padding)
        return [row[: len(code)] for row, code in zip(at_least_float32(x), codes, strict=True)]


_T5_FILES = ("*.json", "*.safetensors", "spiece.model")
"""Configuration, tokenizer and weights of a T5 on the Hub; weights as pickles are left where they are."""


class T5Encoder:
    """The encoder of a T5 model, loaded at once: ``name`` is a repository of the Hugging Face Hub, or a folder with
    the files of one. Needs the ``t2i`` extra.

    Prompts are cut at ``max_tokens``. They go through the model one by one, so that no prompt's features depend on
    the padding of others.
    """

    def __init__(self, name: str, max_tokens: int, device: torch.device | str = "cpu") -> None:
        transformers = optional("transformers", f"{name}, with which prompts are encoded,")
        optional("sentencepiece", f"{name}, with which prompts are encoded,")  # its tokenizer
        self.max_tokens = max_tokens
        self.device = device
        folder = Path(name) if Path(name).is_dir() else fetch_folder(name, _T5_FILES)
        try:
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model: Any = transformers.T5EncoderModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            raise UserError(f"cannot load the text encoder {name} ({str(error).splitlines()[0][:160]})") from None
        self.model.eval().requires_grad_(False).to(device)

    @torch.no_grad()  # not inference_mode: transformers are trained on these features
    def __call__(self, prompts: Sequence[str]) -> TextFeatures:
        return pack([self.encode(prompt) for prompt in prompts])

    def encode(self, prompt: str) -> Tensor:
        """Features float32 (tokens, C) of one prompt."""
        encoded = self.tokenizer(prompt, max_length=self.max_tokens, truncation=True, return_tensors="pt")
        return self.model(input_ids=encoded.input_ids.to(self.device)).last_hidden_state[0].float()
