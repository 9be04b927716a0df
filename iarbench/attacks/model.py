"""Attacks through a tokenizer: an image comes back as another generator would write it, or with changed tokens.

The tokenizer is any of `iarbench ls generators`, with its original encoder, found in --weights DIR, beside its
description or on the Hub.
It works on the CPU, one image at a time and on one thread, so that nothing but the image decides the result; another
kind of processor may round a pixel to the next grey level. The hash of its weights is part of every key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from iarbench.attack import Attack, require_range
from iarbench.errors import UserError
from iarbench.models import variants
from iarbench.models.weights import weights_hash

if TYPE_CHECKING:
    from numpy.random import Generator
    from torch import Tensor

    from iarbench.tokenizer import Tokenizer

_loading = threading.Lock()


class _ThroughTokenizer(Attack):
    """An attack that reads and writes images with the tokenizer of a generator, `model`."""

    if TYPE_CHECKING:  # a field of every subclass, in the place that its names give it
        model: str
    _weights_dir: ClassVar[Path | None] = None
    """Of the instance that `with_weights` makes; no field, since it is no part of the attack's name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        variants.get(self.model)

    def depends_on(self) -> dict[str, str]:
        """The weights of the tokenizer."""
        return {"attack_weights": weights_hash(variants.get(self.model), variants.ORIGINAL, self._weights_dir)}

    def tokenizers(self) -> tuple[str, ...]:
        """That of `model`."""
        return (self.model,)

    def with_weights(self, weights_dir: Path) -> Attack:
        """The same attack; its weights are looked for in that folder first."""
        other = copy(self)
        object.__setattr__(other, "_weights_dir", weights_dir)
        return other

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded once for the whole process. Raises UserError when its weights cannot be had."""
        with _loading:
            return _tokenizer(self.model, self._weights_dir, self.depends_on()["attack_weights"])


@dataclass(frozen=True)
class Regenerate(_ThroughTokenizer):
    """`regenerate:model=rar-mini`: encoded, quantised and decoded by that generator's tokenizer.

    An image of another size goes through at the tokenizer's (bicubic there and back). `rounds`: how often, 1 to 16
    (WAVES "rinses" 2 and 4 times); after a few nothing more changes. With the tokenizer of the target itself it is
    laundering by its own means.
    """

    model: str
    rounds: int = 1
    prefix: ClassVar[str] = "regenerate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.rounds <= 16:
            raise UserError(f"attack {self.name!r}: rounds is how often it is done, from 1 to 16")

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Encode, quantise and decode; `rng` is not used."""
        tokenizer = self.tokenizer()

        def again(images: Tensor) -> Tensor:
            return tokenizer.decode(tokenizer.quantize(tokenizer.encode(images)).features)

        for _ in range(self.rounds):
            image = through(image, tokenizer.image_size, again)
        return image


@dataclass(frozen=True)
class Tokens(_ThroughTokenizer):
    """`tokens:share=0.1,model=rar-mini`: that share of the image's tokens is changed by who can read and write them.

    The image is encoded and quantised by the model's own tokenizer; every token is, with the probability `share` (above
    0, at most 1), swapped for one of its `near` nearest other codes (1 to 1024, each as likely); of binary codes
    (Infinity) every bit is flipped with that probability, as BitMark's BitFlipper does (NeurIPS 2025), and `near` does
    not matter. Then it is decoded. `scale`: only that scale of a multi-scale tokenizer, 1 being the coarsest; 0: all.
    In quality it starts from `regenerate`, which changes no token and loses something already.
    """

    share: float
    model: str
    scale: int = 0
    near: int = 8
    prefix: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "share of tokens (or bits) that are changed", self.share, 0, 1, above_low=True)
        if not 0 <= self.scale <= 64:
            raise UserError(f"attack {self.name!r}: scale is a scale of the tokenizer, from 1 (coarsest), or 0 for all")
        if not 1 <= self.near <= 1024:
            raise UserError(f"attack {self.name!r}: near is how many of the nearest codes are drawn from, 1 to 1024")

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Encode, change tokens and decode."""
        from iarbench.attacks.token_swap import swapped

        tokenizer = self.tokenizer()

        def changed(images: Tensor) -> Tensor:
            tokens = tokenizer.quantize(tokenizer.encode(images)).tokens
            owner = f"attack {self.name!r}"
            return tokenizer.decode(
                tokenizer.lookup(swapped(tokenizer, tokens, self.share, self.scale, self.near, rng, owner))
            )

        return through(image, tokenizer.image_size, changed)


@lru_cache(maxsize=2)  # chains use one or two; a released tokenizer takes hundreds of megabytes
def _tokenizer(model: str, weights_dir: Path | None, weights: str) -> Tokenizer:
    from iarbench.models.loading import load_tokenizer

    return load_tokenizer(variants.get(model), weights_dir=weights_dir)


def through(image: Image.Image, size: int, change: Callable[[Tensor], Tensor]) -> Image.Image:
    """One image through `change`, which gets and gives float32 (1, 3, size, size) in [0, 1]; its size comes back."""
    import torch

    from iarbench.nn.threads import one_thread

    square = image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255
    with one_thread(), torch.no_grad():
        found = change(pixels)[0].permute(1, 2, 0)
    back = Image.fromarray((found * 255).round().clamp(0, 255).to(torch.uint8).numpy())
    return back if image.size == back.size else back.resize(image.size, Image.Resampling.BICUBIC)
