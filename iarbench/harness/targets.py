"""The targets of a run in memory: weights that several of them share are loaded once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import torch

from iarbench.evidence import Target
from iarbench.harness.plan import Settings
from iarbench.models.loading import load_target
from iarbench.models.variants import Variant
from iarbench.models.weights import weights_hash

Targets = dict[tuple[str, str], Target]
"""(generator, encoder) -> target."""


def load_targets(wanted: Iterable[tuple[Variant, str]], settings: Settings) -> Targets:
    """Every wanted variant with its encoder, on the device of `settings` (after `decide`), in channels_last.

    Targets whose tokenizers compute the same hold one and the same tokenizer object, by which others can tell.

    Raises:
        UserError: weights that cannot be used.
    """
    targets: Targets = {}
    first: dict[str, Target] = {}
    for variant, encoder in wanted:
        if (variant.name, encoder) in targets:
            continue
        key = _what_it_computes(variant, encoder, settings)
        if key not in first:
            first[key] = load_target(variant.name, encoder, settings.device, settings.weights_dir)
            # a third faster on a CPU
            first[key].tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        targets[variant.name, encoder] = replace(first[key], name=variant.name, family=variant.family)
    return targets


def _what_it_computes(variant: Variant, encoder: str, settings: Settings) -> str:
    # One file of weights can serve several configurations, such as other scales: only equal ones compute the same.
    weights = weights_hash(variant, encoder, settings.weights_dir)
    return json.dumps([weights, encoder, variant.image_size, variant.code, variant.tokenizer], sort_keys=True)
