"""What `iarbench check` needs to know of LlamaGen: golden folders and manifests of the released files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from iarbench.checks.families import Golden, Parts, greedily
from iarbench.generators.llamagen import LlamaGenTokenizer, LlamaGenTransformer


def golden_transformer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The transformer's configuration from the config.json of a golden folder."""
    return dict(config["gpt"])


def recompute(golden: Golden) -> dict[str, Tensor]:
    """The family's own tensors of a golden folder, from its inputs."""
    model, io, settings = golden.model, golden.tensors, golden.config["generation"]
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    y = io["ar_cond"]
    null = torch.full_like(y, model.transformer.null_class)
    generated, trace, own = greedily(
        model, y, cfg_scale=settings["cfg_scale"], temperature=settings.get("temperature", 1.0)
    )
    return own | {
        "tokens": tokens,
        "tf_logits": model.transformer(tokens, y),
        "tf_logits_uncond": model.transformer(tokens, null),
        "gen_tokens": generated,
        "gen_logprobs": torch.stack(trace, 1).log_softmax(-1),
    }


def released_parts(sizes: Mapping[str, Any]) -> Parts:
    """The modules that one released file fills, from its hyper-parameters in a manifest."""
    if "codebook_size" in sizes:
        return [("", LlamaGenTokenizer(sizes, 256))]
    return [("", LlamaGenTransformer(sizes))]
