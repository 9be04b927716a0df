"""The targets of a run in memory: weights that several of them share are loaded once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch

from iarbench.evidence import NO_ENCODER, NotRead, Target
from iarbench.harness.plan import NO_WEIGHTS, Settings
from iarbench.models.loading import load_target, with_transformer
from iarbench.models.variants import Variant
from iarbench.models.weights import weights_hash
from iarbench.nn.threads import one_thread

if TYPE_CHECKING:
    from iarbench.tokenizer import Tokenizer

Wanted = tuple[Variant, str, bool]
"""Generator, encoder, and whether its transformer is read."""
Targets = dict[tuple[str, str, bool], Target]
"""(generator, encoder, whether with its transformer) -> target."""


def load_targets(wanted: Iterable[Wanted], settings: Settings) -> Targets:
    """Every wanted variant with its encoder, on the device of `settings` (after `decide`), in channels_last.

    Targets whose tokenizers compute the same hold one and the same tokenizer object, by which others can tell. Nothing
    is loaded for detectors that read the image alone.

    Raises:
        UserError: weights that cannot be used.
    """
    # Threads that wait for each other over hundreds of small tensors take seconds on a busy machine.
    with one_thread():
        return _load(wanted, settings)


def _load(wanted: Iterable[Wanted], settings: Settings) -> Targets:
    targets: Targets = {}
    first: dict[str, Target] = {}
    for variant, encoder, transformer in wanted:
        if (variant.name, encoder, transformer) in targets:
            continue
        if encoder == NO_ENCODER:
            key = f"nothing at {variant.image_size}"  # one object, so that they share signals
            first.setdefault(key, _without_weights(variant))
            targets[variant.name, encoder, transformer] = replace(first[key], name=variant.name, family=variant.family)
            continue
        key = _what_it_computes(variant, encoder, settings)
        if key not in first:
            first[key] = load_target(variant.name, encoder, settings.device, settings.weights_dir)
            # a third faster on a CPU
            first[key].tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        target = replace(first[key], name=variant.name, family=variant.family)
        if transformer:
            target = with_transformer(target, variant, settings.device, settings.weights_dir)
        targets[variant.name, encoder, transformer] = target
    return targets


def _without_weights(variant: Variant) -> Target:
    nothing = cast("Tokenizer", NotRead("tokenizer"))
    return Target(variant.name, variant.family, NO_ENCODER, nothing, NO_WEIGHTS, variant.image_size)


def _what_it_computes(variant: Variant, encoder: str, settings: Settings) -> str:
    # One file of weights can serve several configurations, such as other scales: only equal ones compute the same.
    weights = weights_hash(variant, encoder, settings.weights_dir)
    return json.dumps([weights, encoder, variant.image_size, variant.code, variant.tokenizer], sort_keys=True)
