"""A function `predict(image)` or `predict(image, target)` as a detector that reads the image alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from iarbench.detector import Detector
from iarbench.errors import UserError
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

WANTED = "write predict(image) or predict(image, target): a PIL image, and the target's name, to one number"


def detector_of(predict: Callable[..., Any], name: str) -> type[Detector]:
    """The class of a detector called ``name`` that calls ``predict`` once per image.

    Args:
        predict: takes a PIL image, RGB, 8 bits, at the target's size and, where it has a second argument, the name of
            the target; returns one number, higher = made by the target.

    Raises:
        UserError: it takes other arguments.
    """
    arguments = list(inspect.signature(predict).parameters.values())
    needed = [a for a in arguments if a.default is a.empty and a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    if len(needed) not in (1, 2) or any(a.kind is a.KEYWORD_ONLY and a.default is a.empty for a in arguments):
        given = ", ".join(a.name for a in arguments)
        raise UserError(f"detector {name!r}: predict({given}) cannot be called; {WANTED}")

    class Predict(Detector):
        __doc__ = inspect.getdoc(predict) or f"The function {predict.__name__} of a file."
        reads: ClassVar[frozenset[str]] = frozenset({"image"})
        uses_target: ClassVar[bool] = len(needed) == 2

        def score(self, evidence: Evidence) -> dict[str, Tensor]:
            import torch

            about = (evidence.target.name,) if self.uses_target else ()
            values = [_number(predict(image, *about), name) for image in pictures(evidence.images)]
            return {name: torch.tensor(values, dtype=torch.float64)}

    Predict.name = name
    return Predict


def _number(value: Any, name: str) -> float:
    try:
        if value is None or isinstance(value, str | bool | complex):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"predict returned a {type(value).__name__}; {WANTED}") from None


def pictures(images: Tensor) -> list[Any]:
    """Float images (B, 3, H, W) in [0, 1], made of 8 bits, as the PIL images that they were."""
    from PIL import Image

    from iarbench.generator import to_uint8

    return [Image.fromarray(one) for one in to_uint8(images.clamp(0, 1)).cpu().numpy()]
