"""Recomputing a golden folder's tensors with our modules, all under their golden names."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from iarbench.checks.families import Golden, find_family
from iarbench.token_search.reference import reference_search
from iarbench.tokenizer import Tokenizer

#: names of the tensors that need the encoder to read its own decoder's images
TWICE = frozenset({"recon_cont_twice", "signal_enc_loss", "signal_combined"})


@torch.no_grad()
def recompute(golden: Golden) -> dict[str, Tensor]:
    """Every derived tensor of the folder, from its inputs alone."""
    model, io = golden.model, golden.tensors
    own = _autoencoder(model.tokenizer, io["images"])
    own |= find_family(golden.config["family"])[1].recompute(golden)
    own["ft_pred"] = model.tokenizer.encode_native(io["gen_image"])
    if "optimised_quant" in golden.config:
        own |= _optimised(golden, own)
    return own


@torch.no_grad()
def twice_in_float64(golden: Golden) -> dict[str, Tensor]:
    """What comes of the encoder reading its own decoder's images, in float64: no better, but free of rounding.

    An encoder can amplify the rounding of an image a thousandfold, each in its own measure; how far our float32 numbers
    are from these says how far two right implementations may be apart.
    """
    wide = copy.deepcopy(golden.model.tokenizer).double()
    return {
        name: value for name, value in _autoencoder(wide, golden.tensors["images"].double()).items() if name in TWICE
    }


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).mean(1)


def _autoencoder(tokenizer: Tokenizer, x: Tensor) -> dict[str, Tensor]:
    """Features, reconstructions and the paper's four signals, in the native pixel range as the goldens are."""
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
