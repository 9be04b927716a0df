"""Of ``iarbench train``: a transformer."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, replace
from pathlib import Path

from iarbench.commands import options
from iarbench.commands.train_phases import first_checkpoint, seconds_of
from iarbench.errors import UserError
from iarbench.models.loading import build_transformer, family_class, load_tokenizer
from iarbench.training.data import TrainingImages
from iarbench.training.folder import TrainedFolder
from iarbench.training.more_classes import cut_to, with_classes
from iarbench.training.recipe import make_recipe
from iarbench.training.transformer import Examples, TransformerRecipe, tokenize, train_transformer


def new_transformer(args: argparse.Namespace, folder: TrainedFolder, images: TrainingImages) -> list[Path]:
    """Train a transformer on the tokens of a trained tokenizer; the files that were saved."""
    began = time.monotonic()
    chosen = _classified(args, images)
    if len(chosen.pixels) < 2:
        raise UserError(f"{args.images}: a transformer needs at least 2 images of known class: one is held out")
    names = options.names([args.class_names]) if args.class_names else list(chosen.classes)
    if len(names) != len(chosen.classes):
        raise UserError(f"--class-names has {len(names)} names for {len(chosen.classes)} classes: give one per class")
    folder.set_classes(names)
    variant = folder.variant
    recipe = make_recipe(
        TransformerRecipe,
        variant.training.get("transformer", {}),
        steps=args.steps,
        seconds=seconds_of(args),
        batch=args.batch_size,
        lr=args.lr,
        views=args.views,
        others_until=args.others_until,
    )
    rest = [name for name in images.classes if name not in chosen.classes] if recipe.others_until else []
    tokenizer = load_tokenizer(variant).to(args.device)
    wide = build_transformer(with_classes(variant, len(names) + len(rest))).to(args.device)
    generator = family_class(variant)(tokenizer, wide, {})

    def examples(of: TrainingImages, views: int, first_label: int = 0) -> Examples:
        seen = tokenize(tokenizer, of.pixels, views, recipe.seed, generator.trains_on_features)
        return Examples(seen, of.labels + first_label)

    others = examples(images.of_classes(rest), recipe.other_views, len(names)) if rest else None
    texts = [*names, *rest] if variant.conditions == "text" else None
    own, state = examples(chosen, recipe.views), first_checkpoint(args, folder)
    trained = train_transformer(generator, own, recipe, state, texts, others)
    transformer = build_transformer(variant)
    transformer.load_state_dict(cut_to(transformer, wide.state_dict()))
    card = {
        "images": len(chosen.pixels),
        "images_of_other_classes": len(others.labels) if others else 0,
        "parameters": sum(p.numel() for p in transformer.parameters()),
        "recipe": {**asdict(recipe), "steps": trained.steps},
        "held_out_nats_per_token": round(trained.held_out, 3),
        "seconds": round(time.monotonic() - began),
    }
    return folder.save({"transformer": transformer.state_dict()}, {"transformer": card})


def _classified(args: argparse.Namespace, images: TrainingImages) -> TrainingImages:
    """The images that a transformer learns from: those of known class, or all as one class where none is known."""
    if not images.classes and not args.labels:
        options.say(f"note: {args.images} tells no classes: all images are one; --label-column names a column of them")
        return replace(images, labels=images.labels + 1, classes=("image",))
    chosen = images.of_classes(options.names([args.labels]) if args.labels else images.classes)
    if left_out := int((images.labels < 0).sum()):
        options.say(f"note: {left_out} of {len(images.labels)} images are of unknown class and left out")
    return chosen
