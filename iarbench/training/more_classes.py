"""A transformer that is trained on more classes than it will have: built for all of them, cut to its own at the end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from iarbench.models.variants import Variant
from iarbench.training.folder import CLASS_COUNTS


def with_classes(variant: Variant, count: int) -> Variant:
    """The variant with a transformer for so many classes; families that count none stay as they are."""
    sized = {key: count if key in CLASS_COUNTS else value for key, value in variant.transformer.items()}
    return variant.model_copy(update={"transformer": sized})


def cut_to(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The ``state`` of a transformer with more classes, without the classes that ``model`` does not have.

    A table of classes ends with its own ones, the others and the empty class, in this order.
    """
    cut = dict(state)
    for name, own in model.state_dict().items():
        if len(own.shape) and len(own) < len(state[name]):
            cut[name] = torch.cat([state[name][: len(own) - 1], state[name][-1:]])
    return cut
