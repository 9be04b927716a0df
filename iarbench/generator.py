"""An image auto-regressive model: a tokenizer, a transformer over its tokens, and a way to sample them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from iarbench.errors import UserError
from iarbench.nn.sampling import Greedy, Streams
from iarbench.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Sample:
    """``images`` uint8 (B, H, W, 3) and the ``tokens`` int64 (B, L) they were decoded from."""

    images: Tensor
    tokens: Tensor


class Generator(ABC):
    """One model. A family writes ``sample_tokens`` and ``training_loss``, and ``log_probabilities`` for detectors that
    read the transformer.

    Conditions are class indices int64 (B,), or a list of B prompts for a text-conditional family.

    ``sampling`` holds the keyword arguments of ``sample_tokens`` that the variant uses by default.
    """

    tokenizer_class: ClassVar[type[Tokenizer]]
    transformer_class: ClassVar[type[nn.Module]]
    trains_on_features: ClassVar[bool] = False
    #: whether `log_probabilities` can drop the condition
    drops_condition: ClassVar[bool] = True
    #: fraction of the training after which nothing is annealed any more and the held-out loss says what it will be
    settled_from: ClassVar[float] = 0.0

    def __init__(self, tokenizer: Tokenizer, transformer: nn.Module, sampling: Mapping[str, Any]) -> None:
        self.tokenizer: Any = tokenizer
        self.transformer: Any = transformer
        self.sampling = dict(sampling)

    @classmethod
    def transformer_config(cls, tokenizer: Mapping[str, Any], transformer: Mapping[str, Any]) -> dict[str, Any]:
        """The transformer's configuration, completed by what a family takes from its tokenizer's."""
        return dict(transformer)

    @abstractmethod
    def sample_tokens(self, conditions: Any, streams: Streams | Greedy, *args: Any, **sampling: Any) -> Tensor:
        """Tokens int64 (B, L) for B conditions, drawn from ``streams``.

        A family names its own sampling settings; ``trace``, where given, collects the guided logits of every step.
        """

    @abstractmethod
    def training_loss(self, tokens: Tensor, classes: Any, features: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood (nats a token) of tokens (B, L) under B conditions.

        ``features`` (B, C, h, w), the encoder's, come where the family asks for them by ``trains_on_features``.
        """

    def log_probabilities(self, tokens: Tensor, conditions: Any, *, dropped: bool = False) -> Tensor:
        """Teacher-forced log-probability (nats) of every token given those before it, float (B, n).

        Args:
            tokens: int64 (B, n), whole images or their beginnings, which end where a scale ends.
            conditions: B conditions.
            dropped: the condition is dropped as classifier-free guidance drops it; of a prompt, its length remains.

        Raises:
            UserError: the family has none, or cannot drop its condition.
        """
        raise UserError(f"{type(self).__name__} gives no log-probabilities of tokens, which its detector needs")

    def scales(self, length: int) -> tuple[int, ...]:
        """How many of ``length`` tokens each scale has, coarse to fine; one scale where there are none."""
        return (length,)

    def training_progress(self, progress: float) -> None:  # noqa: B027 - most families have nothing to anneal
        """Told before every training step how much of the training is over, 0 to 1; a family may anneal something."""

    def double(self) -> Generator:
        """This generator, brought to float64: rounding then decides no token and no grey level, so that images are the
        same whatever the batch size, the number of threads and the processor.
        """
        self.tokenizer.double()
        self.transformer.double()
        return self

    @torch.inference_mode()
    def sample(self, conditions: Any, seeds: Sequence[int]) -> Sample:
        """One image a condition; image i depends on ``conditions[i]`` and ``seeds[i]``, not on the batch.

        Images are decoded one by one: a convolution's rounding may depend on the batch size, and one grey level
        more or less would give the image another hash.
        """
        tokens = self.sample_tokens(conditions, Streams(seeds), **self.sampling)
        decoded = [self.tokenizer.decode(self.tokenizer.lookup(row[None])) for row in tokens]
        return Sample(to_uint8(torch.cat(decoded)), tokens)


def to_uint8(images: Tensor) -> Tensor:
    """Images float (B, 3, H, W) in [0, 1] to uint8 (B, H, W, 3), rounded to the nearest level."""
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
