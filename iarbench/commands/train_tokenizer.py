"""Of ``iarbench train``: a tokenizer, and a smaller decoder for one."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from iarbench.commands.train_phases import FIRST_PHASE, first_checkpoint, fraction_of_first, seconds_of
from iarbench.models import variants
from iarbench.models.loading import build_tokenizer, load_generator, load_tokenizer
from iarbench.tokenizer import Tokenizer
from iarbench.training.adversarial import AdversarialRecipe, train_adversarial
from iarbench.training.data import TrainingImages
from iarbench.training.distill import DistillRecipe, distill_decoder
from iarbench.training.folder import TrainedFolder
from iarbench.training.pairs import pairs_of_pictures
from iarbench.training.quality import tokenizer_quality
from iarbench.training.recipe import make_recipe
from iarbench.training.reconstruction import ReconstructionRecipe, train_reconstruction
from iarbench.training.usage import count_usage

#: how many pictures a teacher paints for a smaller decoder to copy
PAINTED = 12_000


def new_tokenizer(args: argparse.Namespace, folder: TrainedFolder, images: TrainingImages) -> list[Path]:
    """Train a tokenizer; the files that were saved."""
    began = time.monotonic()
    torch.manual_seed(0)
    tokenizer = build_tokenizer(folder.variant).to(args.device)
    if args.warm_start:
        tokenizer.load_state_dict(load_tokenizer(variants.get(args.like)).state_dict())
    first = make_recipe(
        ReconstructionRecipe,
        folder.variant.training.get("tokenizer", {}),
        steps=args.steps,
        seconds=seconds_of(args, fraction_of_first(args)),
        batch=args.batch_size,
        lr=args.lr,
        commitment=args.commitment,
        isotropy=args.isotropy,
        isotropy_window=args.isotropy_window,
        isotropy_variance=args.isotropy_variance,
        latent_weight=args.latent_weight,
        latent_from=args.latent_from,
    )
    steps = train_reconstruction(tokenizer, images.pixels, first, first_checkpoint(args, folder))
    # Encoder and codebook are final now; the decoder sharpens against features as they will ship, in float16.
    tokenizer.half().float()
    sharpened = _sharpen(args, folder, tokenizer, images)
    quality = tokenizer_quality(tokenizer.half().float().cpu(), images.pixels[:2000])
    count_usage(tokenizer, images.pixels[:20000])
    card = {
        "images": len(images.pixels),
        "parameters": sum(p.numel() for p in tokenizer.parameters()),
        "recipe": {"reconstruction": {**asdict(first), "steps": steps}, "adversarial": sharpened},
        "seconds": round(time.monotonic() - began),
        **quality,
    }
    return folder.save({"tokenizer": tokenizer.state_dict()}, {"tokenizer": card})


def new_decoder(args: argparse.Namespace, folder: TrainedFolder, images: TrainingImages) -> list[Path]:
    """Train a smaller decoder for a trained tokenizer; the files that were saved."""
    began = time.monotonic()
    teacher = load_generator(args.like, args.device)
    pairs = pairs_of_pictures(teacher.tokenizer, images.pixels[:PAINTED])
    torch.manual_seed(0)
    tokenizer = build_tokenizer(folder.variant).to(args.device)
    kept = {k: v for k, v in teacher.tokenizer.state_dict().items() if not k.startswith("decoder.")}
    tokenizer.load_state_dict({**tokenizer.state_dict(), **kept})
    first = make_recipe(
        DistillRecipe,
        {},
        steps=args.steps,
        seconds=seconds_of(args, fraction_of_first(args)),
        batch=args.batch_size,
        lr=args.lr,
    )
    error = distill_decoder(tokenizer, pairs, first, first_checkpoint(args, folder))
    sharpened = _sharpen(args, folder, tokenizer, images)
    card = {
        "recipe": {"distill": asdict(first), "adversarial": sharpened},
        "error_to_teacher": error,
        "parameters": sum(p.numel() for p in tokenizer.parameters()),
        "seconds": round(time.monotonic() - began),
        **tokenizer_quality(tokenizer.half().float().cpu(), images.pixels[:2000]),
    }
    parts = {"transformer": teacher.transformer.state_dict(), "tokenizer": tokenizer.state_dict()}
    return folder.save(parts, {"tokenizer": card})


def _sharpen(
    args: argparse.Namespace, folder: TrainedFolder, tokenizer: Tokenizer, images: TrainingImages
) -> dict[str, Any] | None:
    """The phase against a discriminator, where it is asked for: its numbers for the card."""
    recipe = make_recipe(
        AdversarialRecipe,
        folder.variant.training.get("adversarial", {}),
        steps=args.adversarial_steps,
        seconds=seconds_of(args, 1 - FIRST_PHASE),
        batch=args.batch_size,
        latent_weight=args.latent_weight,
    )
    if not recipe.steps:
        return None
    steps = train_adversarial(tokenizer, images.pixels, recipe, folder.checkpoint("adversarial"))
    return {**asdict(recipe), "steps": steps}
