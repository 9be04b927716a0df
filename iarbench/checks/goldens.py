"""Recomputing a golden folder with our modules: one function a family, all tensors under their golden names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from iarbench.errors import UserError
from iarbench.generator import Generator
from iarbench.nn.checkpoint import load_released, read_state
from iarbench.nn.sampling import Greedy
from iarbench.nn.token_search import reference_search


@dataclass(frozen=True, slots=True)
class Golden:
    """One folder: its configuration, its stored tensors and scalars, and our model with its weights."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    scalars: dict[str, Any]
    model: Generator


def family_class(family: str) -> type[Generator]:
    """The Generator class of a family by name."""
    import importlib

    names = {"llamagen": "LlamaGen", "var": "VAR", "rar": "RAR", "taming": "Taming", "infinity": "Infinity"}
    if family not in names:
        raise UserError(f"unknown family {family!r}; known: {', '.join(names)}")
    return getattr(importlib.import_module(f"iarbench.generators.{family}"), names[family])


def read_golden(folder: Path) -> Golden:
    """Open a folder of config.json, weights_*.safetensors, io.json and io.safetensors. Raises UserError."""
    try:
        config = json.loads((folder / "config.json").read_text())
        scalars = json.loads((folder / "io.json").read_text())["scalars"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder} is not a golden folder ({error})") from None
    family = family_class(config["family"])
    tokenizer = family.tokenizer_class(config["tokenizer"], config["image_size"])
    transformer = family.transformer_class(family.golden_transformer_config(config))
    for module, file in ((tokenizer, "weights_tokenizer.safetensors"), (transformer, "weights_ar.safetensors")):
        state = {k: v.float() if v.is_floating_point() else v for k, v in read_state(folder / file).items()}
        load_released(module, state, str(folder / file))
        module.eval()
    return Golden(config, read_state(folder / "io.safetensors"), scalars, family(tokenizer, transformer, {}))


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


def _clamp(model: Generator, images: Tensor) -> Tensor:
    return images.clamp(*model.tokenizer.native_range)


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).mean(1)


def _autoencoder(model: Generator, x: Tensor) -> dict[str, Tensor]:
    """Features, reconstructions and the paper's four signals, in the native pixel range as the goldens are."""
    tokenizer = model.tokenizer
    f = tokenizer.encode_native(x)
    f_hat = tokenizer.quantize(f).features
    once = _clamp(model, tokenizer.decode_native(f))
    twice = _clamp(model, tokenizer.decode_native(tokenizer.encode_native(once)))
    quantised = _clamp(model, tokenizer.decode_native(f_hat))
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
    image = _clamp(model, model.tokenizer.decode_native(f_hat))
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
    decoded = _clamp(model, model.tokenizer.decode_native(f_hat))
    quant_loss = _mse(own["f"], f_hat)
    return result | {
        "optim_recon_quant": decoded,
        "optim_signal_reconstruction": _mse(decoded, io["images"]),
        "optim_signal_quant_loss": quant_loss,
        "optim_signal_combined": quant_loss * own["signal_enc_loss"],
    }


def finetuning_step(golden: Golden) -> dict[str, float]:
    """Loss, gradient norms and loss after one Adam step of inverse fine-tuning on the golden generated image.

    Per-parameter norms are named by our parameter names. Changes the model's encoder.
    """
    model, io, stored = golden.model, golden.tensors, golden.scalars["finetune"]
    tokenizer, target = model.tokenizer, io["gen_fhat"]
    low, high = tokenizer.native_range
    png8 = ((io["gen_image"] - low) / (high - low) * 255).floor() / 255  # the official script truncates
    loss_png8 = nn.functional.mse_loss(tokenizer.encode(png8), target)
    tokenizer.requires_grad_(False)
    trained: dict[str, nn.Parameter] = {}
    for name in tokenizer.inverse_modules:
        module = tokenizer.get_submodule(name).requires_grad_(True)
        trained |= {f"{name}.{key}": p for key, p in module.named_parameters()}
    settings = stored["optimizer"]
    optimizer = torch.optim.Adam(trained.values(), lr=settings["lr"], betas=tuple(settings["betas"]))
    loss = nn.functional.mse_loss(tokenizer.encode_native(io["gen_image"]), target)
    loss.backward()
    norms = {key: p.grad.norm() for key, p in trained.items() if p.grad is not None}
    result = {"loss": loss.item(), "grad_norm": torch.stack(list(norms.values())).norm().item()}
    result |= {f"grad_norm {key}": norm.item() for key, norm in norms.items()}
    optimizer.step()
    with torch.no_grad():
        after = nn.functional.mse_loss(tokenizer.encode_native(io["gen_image"]), target)
    return result | {"loss_after_one_adam_step": after.item(), "loss_png8": loss_png8.item()}


FAMILIES: dict[str, Callable[[Golden], dict[str, Tensor]]] = {
    "llamagen": _llamagen,
    "var": _var,
}
