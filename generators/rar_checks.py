"""What `iarbench check` needs to know of RAR: golden folders and manifests of the released files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from iarbench.checks.families import Golden, Parts, greedily
from iarbench.generators.rar import RARTokenizer, RARTransformer, guidance_schedule


def golden_transformer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The transformer's configuration from the config.json of a golden folder."""
    return dict(config["ar"])


def recompute(golden: Golden) -> dict[str, Tensor]:
    """The family's own tensors of a golden folder, from its inputs."""
    model, io, settings = golden.model, golden.tensors, golden.config["generation"]
    y, orders = io["ar_cond"], io["tf_random_orders"]
    null = torch.full_like(y, model.transformer.null_class)
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    scale, power, temperature = (settings[k] for k in ("guidance_scale", "guidance_scale_pow", "temperature"))
    sampling = {"guidance_scale": scale, "guidance_scale_pow": power, "temperature": temperature}
    generated, trace, own = greedily(model, y, **sampling)
    return own | {
        "tokens": tokens,
        "ar_cond_ids": model.transformer.first_class + y,
        "tf_logits": model.transformer(tokens, y),
        "tf_logits_uncond": model.transformer(tokens, null),
        "tf_random_logits": model.transformer(tokens, y, orders),
        "tf_random_labels": tokens.gather(1, orders),
        "gen_tokens": generated,
        "gen_logprobs": (torch.stack(trace, 1) / temperature).log_softmax(-1),
        "gen_cfg_schedule": guidance_schedule(scale, power, model.transformer.length),
    }


def released_parts(sizes: Mapping[str, Any]) -> Parts:
    """The modules that one released file fills, from its hyper-parameters in a manifest."""
    if "channel_mult" in sizes:
        return [("", RARTokenizer(sizes, 256))]
    return [("", RARTransformer(sizes))]
