"""What `iarbench check` needs to know of VAR: golden folders and manifests of the released files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from iarbench.checks.families import Golden, Parts, greedily
from iarbench.generators.var import VAR, VARTokenizer, VARTransformer, next_scale_inputs


def golden_transformer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The transformer's configuration from the config.json of a golden folder."""
    return VAR.transformer_config(config["tokenizer"], config["ar"])


def recompute(golden: Golden) -> dict[str, Tensor]:
    """The family's own tensors of a golden folder, from its inputs."""
    model, io = golden.model, golden.tensors
    quantizer = model.tokenizer.quantizer
    y = io["ar_cond"]
    null = torch.full_like(y, model.transformer.null_class)
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    inputs = next_scale_inputs(quantizer, tokens)
    generated, trace, own = greedily(model, y, cfg=golden.config["generation"]["cfg"])
    for k, (part, made) in enumerate(zip(quantizer.split(tokens), quantizer.split(generated), strict=True)):
        own |= {f"tokens_scale_{k}": part, f"gen_tokens_scale_{k}": made}
    own |= {f"f_hat_cum_scale_{k}": f_hat for k, f_hat in enumerate(quantizer.cumulative(tokens))}
    return own | {
        "tf_input": inputs,
        "tf_logits": model.transformer(inputs, y),
        "tf_logits_uncond": model.transformer(inputs, null),
        "gen_logprobs": torch.cat(trace, 1).log_softmax(-1),
    }


def released_parts(sizes: Mapping[str, Any]) -> Parts:
    """The modules that one released file fills, from its hyper-parameters in a manifest."""
    if "v_patch_nums" in sizes:
        return [("", VARTokenizer(sizes, 256))]
    ours = {
        "dim": sizes["embed_dim"],
        "heads": sizes["num_heads"],
        "vocab_size": sizes["V"],
        "z_channels": sizes["Cvae"],
    }
    return [("", VARTransformer({**sizes, **ours}))]
