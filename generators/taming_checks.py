"""What `iarbench check` needs to know of Taming transformers: golden folders and manifests of the released files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from iarbench.checks.families import Golden, Parts, greedily
from iarbench.generators.taming import TamingTokenizer, TamingTransformer


def golden_transformer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The transformer's configuration from the config.json of a golden folder."""
    return dict(config["transformer"])


def recompute(golden: Golden) -> dict[str, Tensor]:
    """The family's own tensors of a golden folder, from its inputs."""
    model, io = golden.model, golden.tensors
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    generated, trace, own = greedily(model, io["ar_cond"])
    return own | {
        "tokens": tokens,
        "tf_logits": model.transformer(tokens, io["ar_cond"]),
        "gen_tokens": generated,
        "gen_logprobs": torch.stack(trace, 1).log_softmax(-1),
    }


def released_parts(sizes: Mapping[str, Any]) -> Parts:
    """The modules that one released file fills, from its hyper-parameters in a manifest."""
    if "ddconfig" in sizes:
        return [("", TamingTokenizer(sizes, 256))]
    return [("", TamingTransformer(sizes["transformer"]))]
