"""From a variant's description to its modules with weights in them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from iarbench.errors import UserError
from iarbench.evidence import Target
from iarbench.generator import Generator
from iarbench.models import variants
from iarbench.models.variants import ORIGINAL, Variant, WeightFile
from iarbench.models.weights import encoders, locate, weights_hash
from iarbench.nn.checkpoint import load_released, read_state
from iarbench.tokenizer import Tokenizer
from iarbench.user_code import is_file_reference, load_module, split_reference


def family_class(variant: Variant) -> type[Generator]:
    """The Generator class that the variant's ``code`` names."""
    module, _, attribute = variant.code.rpartition(":")
    if is_file_reference(variant.code):
        path, attribute = split_reference(variant.code)
        found = getattr(load_module(path, variant.code), attribute or "none", None)
    else:
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except ImportError as error:
            raise UserError(f"{variant.name}: cannot import its code {variant.code} ({error})") from None
    if not (isinstance(found, type) and issubclass(found, Generator)):
        raise UserError(
            f"{variant.name}: its code {variant.code} names no class derived from iarbench.generator.Generator"
        )
    return found


def build_tokenizer(variant: Variant) -> Tokenizer:
    """The tokenizer's module, weights not loaded. Raises UserError when the description does not fit the code."""
    family = family_class(variant)
    with _described(variant, "tokenizer"):
        return family.tokenizer_class(variant.tokenizer, variant.image_size)


def build_transformer(variant: Variant) -> nn.Module:
    """The transformer's module, weights not loaded. Raises UserError when the description does not fit the code."""
    family = family_class(variant)
    with _described(variant, "transformer"):
        return family.transformer_class(family.transformer_config(variant.tokenizer, variant.transformer))


@contextmanager
def _described(variant: Variant, part: str) -> Iterator[None]:
    """What a constructor raises for sizes that are missing, unknown or impossible becomes one line."""
    try:
        yield
    except KeyError as error:
        raise UserError(f"{variant.name}: its description lacks {error}, which its {part} needs") from error
    except (TypeError, ValueError, ArithmeticError, AttributeError, IndexError, RuntimeError) as error:
        first = " ".join(str(error).split())[:160]
        raise UserError(f"{variant.name}: no {part} can be built as its description says ({first})") from error


def load_tokenizer(variant: Variant, encoder: str = ORIGINAL, weights_dir: Path | None = None) -> Tokenizer:
    """The tokenizer in float32 evaluation mode, with the ``original`` or a fine-tuned encoder."""
    if encoder not in (known := encoders(variant, weights_dir)):
        raise UserError(f"{variant.name} has no {encoder!r} encoder; it has: {', '.join(known)}")
    tokenizer = build_tokenizer(variant)
    _fill(tokenizer, variant, "tokenizer", weights_dir)
    if encoder != ORIGINAL:
        path, file = locate(variant, encoder, weights_dir), variant.files.get(encoder, WeightFile())
        state = read_state(path, file.wrappers)
        if file.added_to:
            add_encoder(tokenizer, state, file.added_to, str(path))
        else:
            replace_encoder(tokenizer, state, str(path))
    return tokenizer.float().eval().requires_grad_(False)


def replace_encoder(tokenizer: Tokenizer, state: dict[str, Tensor], origin: str) -> None:
    """Replace the modules that inverse fine-tuning trains by the tensors of a file, ``origin``.

    Accepts our files (``encoder.conv_in.weight``) and published ones (``module0.conv_in.weight``, numbered in the
    order of ``inverse_modules``). Raises UserError unless every tensor finds its place and every place its tensor.
    """
    names = tokenizer.inverse_modules
    for i, name in enumerate(names):
        state = {
            k.replace(f"module{i}.", f"{name}.", 1) if k.startswith(f"module{i}.") else k: v for k, v in state.items()
        }
    frozen = {k: v for k, v in tokenizer.state_dict().items() if k.split(".")[0] not in names}
    load_released(tokenizer, {**frozen, **state}, origin)


def add_encoder(tokenizer: Tokenizer, delta: dict[str, Tensor], module: str, origin: str) -> None:
    """Add the tensors of a file, ``origin``, to those of one module of the tokenizer, under the names inside it.

    So WMAR publishes its encoders (README of facebookresearch/wmar, "Deltas of Finetuned Tokenizers"). Its own loader
    ignores names that the model lacks; here every tensor must find its place and every place its tensor. Raises
    UserError otherwise, or for values that are not finite.
    """
    inside = f"{module}."
    original = {k: v for k, v in tokenizer.state_dict().items() if k.startswith(inside)}
    state = {k: v for k, v in tokenizer.state_dict().items() if k not in original}
    for name, value in delta.items():
        own = original.get(inside + name)
        fits = own is not None and own.shape == value.shape and value.is_floating_point()
        state[inside + name] = own + value.float() if own is not None and fits else value
    load_released(tokenizer, state, origin)


def load_target(
    name: str,
    encoder: str = ORIGINAL,
    device: str = "cpu",
    weights_dir: Path | None = None,
    *,
    transformer: bool = False,
) -> Target:
    """A target ready to score with on ``device``: its tokenizer, its ``transformer`` where one is to be read, and the
    identity of their weights.
    """
    variant = variants.get(name)
    target = Target(
        name=name,
        family=variant.family,
        encoder=encoder,
        tokenizer=load_tokenizer(variant, encoder, weights_dir).to(device),
        weights_hash=weights_hash(variant, encoder, weights_dir, transformer=transformer),
        image_size=variant.image_size,
    )
    return with_transformer(target, variant, device, weights_dir) if transformer else target


def with_transformer(target: Target, variant: Variant, device: str, weights_dir: Path | None = None) -> Target:
    """The target of a variant with its transformer, on its tokenizer and ``device``."""
    generator = _generator(target.tokenizer, variant, device, weights_dir, "default")
    identity = weights_hash(variant, target.encoder, weights_dir, transformer=True)
    return replace(target, generator=generator, weights_hash=identity)


def load_generator(
    name: str, device: str = "cpu", weights_dir: Path | None = None, sampling: str = "default"
) -> Generator:
    """A generator ready to sample with the named ``sampling`` settings."""
    variant = variants.get(name)
    variant.require_sampling(sampling)
    _check_sampling(variant, sampling)
    tokenizer = load_tokenizer(variant, weights_dir=weights_dir).to(device)
    return _generator(tokenizer, variant, device, weights_dir, sampling)


def _generator(
    tokenizer: Tokenizer, variant: Variant, device: str, weights_dir: Path | None, sampling: str
) -> Generator:
    transformer = build_transformer(variant)
    _fill(transformer, variant, "transformer", weights_dir)
    transformer.float().eval().requires_grad_(False).to(device)
    return family_class(variant)(tokenizer, transformer, variant.sampling[sampling])


def _check_sampling(variant: Variant, sampling: str) -> None:
    parameters = inspect.signature(family_class(variant).sample_tokens).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.default is not parameter.empty]
    for key in variant.sampling[sampling]:
        if key not in known or key == "trace":
            known = [name for name in known if name != "trace"]
            raise UserError(f"{variant.name}: sampling {sampling!r} has {key!r}, but there are: {', '.join(known)}")


def load_sampler(
    name: str, device: str = "cpu", weights_dir: Path | None = None, sampling: str = "default"
) -> Generator:
    """A generator as :func:`load_generator` gives it, in the precision that its images are made in."""
    generator = load_generator(name, device, weights_dir, sampling)
    wide = variants.get(name).sampling_precision == "float64" and device != "mps"  # Apple GPUs have no float64
    return generator.double() if wide else generator


def _fill(module: nn.Module, variant: Variant, part: str, weights_dir: Path | None) -> None:
    path = locate(variant, part, weights_dir)
    wrappers = variant.files[part].wrappers if part in variant.files else ()
    state: dict[str, Any] = read_state(path, wrappers)
    load_released(module, {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in state.items()}, str(path))
