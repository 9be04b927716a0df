"""Recomputing a golden folder's tensors with our modules: one function a family, all under their golden names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from iarbench.checks.goldens import Golden
from iarbench.generator import Generator
from iarbench.nn.sampling import Greedy
from iarbench.token_search.reference import reference_search


@torch.no_grad()
def recompute(golden: Golden) -> dict[str, Tensor]:
    """Every derived tensor of the folder, from its inputs alone."""
    model, io = golden.model, golden.tensors
    own = _autoencoder(model, io["images"])
    own |= FAMILIES[golden.config["family"]](golden)
    own["ft_pred"] = model.tokenizer.encode_native(io["gen_image"])
    if "optimised_quant" in golden.config:
        own |= _optimised(golden, own)
    return own


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).mean(1)


def _autoencoder(model: Generator, x: Tensor) -> dict[str, Tensor]:
    """Features, reconstructions and the paper's four signals, in the native pixel range as the goldens are."""
    tokenizer = model.tokenizer
    f = tokenizer.encode_native(x)
    f_hat = tokenizer.quantize(f).features
    once = tokenizer.decode_clamped(f)
    twice = tokenizer.decode_clamped(tokenizer.encode_native(once))
    quantised = tokenizer.decode_clamped(f_hat)
    quant_loss, uncalibrated = _mse(f, f_hat), _mse(once, x)
    enc_loss = (uncalibrated + 1e-10) / (_mse(twice, once) + 1e-10)
    return {
        "f": f,
        "f_hat": f_hat,
        "recon_quant": quantised,
        "recon_cont": once,
        "recon_cont_twice": twice,
        "signal_reconstruction": _mse(quantised, x),
        "signal_quant_loss": quant_loss,
        "signal_enc_loss": enc_loss,
        "signal_enc_loss_uncalibrated": uncalibrated,
        "signal_combined": quant_loss * enc_loss,
    }


def _generated(model: Generator, conditions: Any, **sampling: Any) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
    """Greedy tokens, the guided logits of each step, and the image they decode to."""
    trace: list[Tensor] = []
    tokens = model.sample_tokens(conditions, Greedy(), trace=trace, **sampling)
    f_hat = model.tokenizer.lookup(tokens)
    image = model.tokenizer.decode_clamped(f_hat)
    return tokens, trace, {"gen_fhat": f_hat, "gen_image": image}


def _llamagen(golden: Golden) -> dict[str, Tensor]:
    model, io, settings = golden.model, golden.tensors, golden.config["generation"]
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    y = io["ar_cond"]
    null = torch.full_like(y, model.transformer.null_class)
    generated, trace, own = _generated(
        model, y, cfg_scale=settings["cfg_scale"], temperature=settings.get("temperature", 1.0)
    )
    return own | {
        "tokens": tokens,
        "tf_logits": model.transformer(tokens, y),
        "tf_logits_uncond": model.transformer(tokens, null),
        "gen_tokens": generated,
        "gen_logprobs": torch.stack(trace, 1).log_softmax(-1),
    }


def _var(golden: Golden) -> dict[str, Tensor]:
    from iarbench.generators.var import next_scale_inputs

    model, io = golden.model, golden.tensors
    quantizer = model.tokenizer.quantizer
    y = io["ar_cond"]
    null = torch.full_like(y, model.transformer.null_class)
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    inputs = next_scale_inputs(quantizer, tokens)
    generated, trace, own = _generated(model, y, cfg=golden.config["generation"]["cfg"])
    for k, (part, made) in enumerate(zip(quantizer.split(tokens), quantizer.split(generated), strict=True)):
        own |= {f"tokens_scale_{k}": part, f"gen_tokens_scale_{k}": made}
    own |= {f"f_hat_cum_scale_{k}": f_hat for k, f_hat in enumerate(quantizer.cumulative(tokens))}
    return own | {
        "tf_input": inputs,
        "tf_logits": model.transformer(inputs, y),
        "tf_logits_uncond": model.transformer(inputs, null),
        "gen_logprobs": torch.cat(trace, 1).log_softmax(-1),
    }


def _rar(golden: Golden) -> dict[str, Tensor]:
    from iarbench.generators.rar import guidance_schedule

    model, io, settings = golden.model, golden.tensors, golden.config["generation"]
    y, orders = io["ar_cond"], io["tf_random_orders"]
    null = torch.full_like(y, model.transformer.null_class)
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    scale, power, temperature = (settings[k] for k in ("guidance_scale", "guidance_scale_pow", "temperature"))
    sampling = {"guidance_scale": scale, "guidance_scale_pow": power, "temperature": temperature}
    generated, trace, own = _generated(model, y, **sampling)
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


def _taming(golden: Golden) -> dict[str, Tensor]:
    model, io = golden.model, golden.tensors
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    generated, trace, own = _generated(model, io["ar_cond"])
    return own | {
        "tokens": tokens,
        "tf_logits": model.transformer(tokens, io["ar_cond"]),
        "gen_tokens": generated,
        "gen_logprobs": torch.stack(trace, 1).log_softmax(-1),
    }


def _infinity(golden: Golden) -> dict[str, Tensor]:
    from iarbench.nn.text import TextFeatures

    model, io, settings = golden.model, golden.tensors, golden.config["generation"]
    quantizer, transformer = model.tokenizer.quantizer, model.transformer
    text = TextFeatures(io["text_features"], tuple(io["text_lens"].tolist()))
    tokens = model.tokenizer.quantize(model.tokenizer.encode_native(io["images"])).tokens
    inputs = quantizer.next_scale_inputs(quantizer.cumulative(tokens))
    generated, trace, own = _generated(model, text, cfg=settings["cfg"], tau=settings["tau"])
    for k, (part, made) in enumerate(zip(quantizer.split(tokens), quantizer.split(generated), strict=True)):
        own |= {f"bits_scale_{k}": quantizer.unpack(part), f"gen_bits_scale_{k}": quantizer.unpack(made)}
    return own | {
        "tf_input": inputs,
        "tf_logits": transformer(inputs, text).flatten(-2),
        "tf_logits_uncond": transformer(inputs, transformer.without_text(text)).flatten(-2),
        "gen_bit_logit": torch.cat(trace, 1).diff(dim=-1)[..., 0] / settings["tau"],
        "rope_cos_sin": torch.stack([transformer.cos, transformer.sin])[:, : tokens.shape[1]],
    }


def _optimised(golden: Golden, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reference's token search from an image's features and from ``optim_gen_f``, and the signals with it."""
    model, io, settings = golden.model, golden.tensors, golden.config["optimised_quant"]
    quantizer = model.tokenizer.quantizer
    result: dict[str, Tensor] = {}
    for case, f in (("image", own["f"]), ("gen", io["optim_gen_f"])):
        tokens = quantizer(f)[0]
        result[f"optim_{case}_init_tokens"] = tokens
        for stage, fixed_from in enumerate(settings["stages"]):
            tau = (settings["tau_start"], settings["tau_end"])
            tokens = reference_search(quantizer, f, tokens, fixed_from, settings["iters"], settings["lr"], tau)
            result[f"optim_{case}_stage{stage}_tokens"] = tokens
        f_hat = quantizer.lookup(tokens)
        result |= {f"optim_{case}_f_hat": f_hat, f"optim_{case}_quant_loss": _mse(f, f_hat)}
    f_hat = result["optim_image_f_hat"]
    decoded = model.tokenizer.decode_clamped(f_hat)
    quant_loss = _mse(own["f"], f_hat)
    return result | {
        "optim_recon_quant": decoded,
        "optim_signal_reconstruction": _mse(decoded, io["images"]),
        "optim_signal_quant_loss": quant_loss,
        "optim_signal_combined": quant_loss * own["signal_enc_loss"],
    }


FAMILIES: dict[str, Callable[[Golden], dict[str, Tensor]]] = {
    "llamagen": _llamagen,
    "var": _var,
    "rar": _rar,
    "taming": _taming,
    "infinity": _infinity,
}
