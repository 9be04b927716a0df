"""What generators were asked for, by name: of class numbers the names of the classes, and prompts as they are.

A number means a class of one generator alone, and of a photograph it may be anything: only what a known generator
was asked for counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.variants import Variant

Told = Callable[[Sequence[str]], dict[str, str]]
"""From ids of images to what the identity of their scores holds for a detector that reads the `condition`."""


def told_of(images: ImageSet, target: Variant, image_ids: Sequence[str]) -> dict[str, str]:
    """A digest of what such a detector is told: what generators were asked for, and the target's own names."""
    whole = json.dumps([target.classes, asked_for(images, image_ids)])
    return {"asked_for": hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()}


def asked_for(images: ImageSet, image_ids: Sequence[str]) -> tuple[str, ...]:
    """A name for each image; "" for a real one, and where its set does not say."""
    generators = {name: variants.get(name) for name in variants.names()}
    told = images.cells(("source", "condition"), image_ids)
    return tuple(_name(generators[source], text) if source in generators else "" for source, text in told)


def _name(variant: Variant, condition: str) -> str:
    if variant.conditions == "text" or not variant.classes:
        return condition
    known = condition.isdecimal() and int(condition) < len(variant.classes)
    return variant.classes[int(condition)] if known else ""
