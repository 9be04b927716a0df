"""What `iarbench check` needs to know of Infinity: golden folders and manifests of the released files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from iarbench.checks.families import Golden, Parts, greedily
from iarbench.generators.infinity import Infinity, InfinityTokenizer, InfinityTransformer
from iarbench.nn.text import TextFeatures


def golden_transformer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The transformer's configuration from the config.json of a golden folder."""
    return Infinity.transformer_config(config["tokenizer"], config["ar"])


def recompute(golden: Golden) -> dict[str, Tensor]:
    """The family's own tensors of a golden folder, from its inputs."""
    model, io, settings = golden.model, golden.tensors, golden.config["generation"]
    quantizer, transformer = model.tokenizer.quantizer, model.transformer
    text = TextFeatures(io["text_features"], tuple(io["text_lens"].tolist()))
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    inputs = quantizer.next_scale_inputs(quantizer.cumulative(tokens))
    generated, trace, own = greedily(model, text, cfg=settings["cfg"], tau=settings["tau"])
    for k, (part, made) in enumerate(zip(quantizer.split(tokens), quantizer.split(generated), strict=True)):
        own |= {f"bits_scale_{k}": quantizer.unpack(part), f"gen_bits_scale_{k}": quantizer.unpack(made)}
    return own | {
        "tf_input": inputs,
        "tf_logits": transformer(inputs, text).flatten(-2),
        "tf_logits_uncond": transformer(inputs, transformer.without_text(text)).flatten(-2),
        "gen_bit_logit": torch.cat(trace, 1).diff(dim=-1)[..., 0] / settings["tau"],
        "rope_cos_sin": torch.stack([transformer.cos, transformer.sin])[:, : tokens.shape[1]],
    }


def released_parts(sizes: Mapping[str, Any]) -> Parts:
    """The modules that one released file fills, from its hyper-parameters in a manifest."""
    if "patch_size" in sizes:
        return [("", InfinityTokenizer(sizes, 1024))]
    return [("", InfinityTransformer({**sizes, "codebook_dim": sizes["d_vae"]}))]
