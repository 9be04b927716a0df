"""``iarbench train``: a tokenizer, a transformer and a smaller decoder on a user's own images."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.tokenizer import Tokenizer
    from iarbench.training.data import TrainingImages
    from iarbench.training.folder import TrainedFolder

EXAMPLES = """  iarbench train tokenizer   --like var-mini --name mine --images train.parquet --out mine/ --minutes 30
  iarbench train transformer --name mine --images train.parquet --out mine/ --minutes 30
  iarbench train transformer --name mine --images pictures/ --out mine/ --labels cat,dog
  iarbench train decoder     --like llamagen-mini --name small --images train.parquet --out small/ \\
      --decoder '{ch: 8, ch_mult: [1, 1, 4, 4], num_res_blocks: 1}'
  IARBENCH_GENERATORS=mine iarbench generate --generator mine --count 64 --out made/
--images takes a folder (folders in it are classes), a Parquet file, an image set of iarbench, or hf:owner/name.
Pictures of unknown class (null, "" or -1) train the tokenizer alone.
Re-run the same command to resume. Numbers that are not given are those that --like was trained with.
"""


#: how many pictures a teacher paints for a smaller decoder to copy
PAINTED = 12_000
#: fraction of --minutes that a tokenizer or decoder spends on its first phase, where it has a second one
FIRST_PHASE = 0.84

#: of each training, in their order, a checkpoint each
PHASES = {
    "tokenizer": ("reconstruction", "adversarial"),
    "transformer": ("transformer",),
    "decoder": ("distill", "adversarial"),
}

#: options that only some trainings have
OPTIONS_OF = {
    "tokenizer": ("warm_start", "commitment", "isotropy", "isotropy_window", "isotropy_variance", "latent_from"),
    "tokenizer decoder": ("adversarial_steps", "latent_weight"),
    "transformer": ("labels", "class_names", "views", "others_until"),
    "decoder": ("decoder",),
}


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Train a generator of a known architecture on your own images, tokenizer first. "
        "--out becomes a folder of generators: weights and the YAML that describes them."
    )
    brief = "train a tokenizer, its smaller decoder, or a transformer"
    parser = options.add_command(subparsers, "train", brief, description, EXAMPLES)
    parser.add_argument("what", choices=["tokenizer", "transformer", "decoder"])
    parser.add_argument("--name", required=True, type=options.new_name, help="name of the new generator")
    parser.add_argument("--like", default="llamagen-mini", help="generator that it takes its architecture from")
    parser.add_argument("--images", required=True, help="folder, Parquet file or image set")
    parser.add_argument("--label-column", metavar="NAME", help="column of a Parquet file that holds the classes")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, YAML and checkpoints")
    parser.add_argument("--decoder", type=options.mapping, help="sizes in which the new decoder differs (decoder)")
    parser.add_argument("--labels", help="train the transformer on these classes only, comma-separated")
    parser.add_argument("--class-names", help="other names for the classes, in their order, comma-separated")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=options.positive, help="batches to train on")
    length.add_argument(
        "--minutes", type=options.above_zero, help="train for so long in place of --steps, all runs together"
    )
    parser.add_argument(
        "--adversarial-steps",
        type=options.not_negative,
        help="batches of the second phase of a tokenizer or decoder; 0 skips it, also with --minutes",
    )
    parser.add_argument("--batch-size", type=options.positive, metavar="N", help="images in a batch")
    parser.add_argument("--lr", type=options.above_zero, help="highest learning rate (of the first phase)")
    parser.add_argument("--warm-start", action="store_true", help="begin with the weights of --like (tokenizer)")
    tokenizer = parser.add_argument_group("tokenizer")
    tokenizer.add_argument("--commitment", type=options.number, help="weight of the pull of features to their codes")
    tokenizer.add_argument("--isotropy", type=options.number, help="how strongly codes spread over all directions")
    tokenizer.add_argument(
        "--isotropy-window", type=options.positive, help="side of the square of positions that isotropy is taken over"
    )
    tokenizer.add_argument("--isotropy-variance", type=options.above_zero, help="variance it asks of every feature")
    tokenizer.add_argument(
        "--latent-weight", type=options.number, help="how strongly decoded images must be read back to their codes"
    )
    tokenizer.add_argument(
        "--latent-from", type=options.fraction, metavar="FRACTION", help="of the training after which they must"
    )
    transformer = parser.add_argument_group("transformer")
    transformer.add_argument(
        "--views", type=options.positive, help="versions of each image, mirrored and zoomed, that it is trained on"
    )
    transformer.add_argument(
        "--others-until",
        type=options.fraction,
        metavar="FRACTION",
        help="of the training in which it also learns images of the classes that --labels leaves out",
    )
    parser.add_argument("--restart", action="store_true", help="begin anew, whatever checkpoints are in --out")
    options.add_device(parser)
    parser.add_argument("--threads", type=options.positive, help="CPU threads")


def execute(args: argparse.Namespace) -> int:
    """Train, save, and say where."""
    from iarbench.device import check_device, enough_memory, resolve_device
    from iarbench.files import remove_leftovers, require_writable

    _refuse_options_of_others(args)
    check_device(args.device)
    require_writable(args.out, "--out")
    folder = _folder(args)
    options.require_source(args.images, label_column=args.label_column)

    import torch

    from iarbench.models.loading import build_tokenizer
    from iarbench.nn.memory import keep_freed_memory
    from iarbench.training.data import load_images

    build_tokenizer(folder.variant)  # sizes that cannot be are known before images are read
    remove_leftovers(args.out)
    args.device = resolve_device(args.device)
    keep_freed_memory()
    if args.threads:
        torch.set_num_threads(args.threads)
    images = load_images(args.images, folder.variant.image_size, args.label_column)
    if images.skipped:
        options.say(f"note: {args.images}: {images.skipped}")
    train = {"tokenizer": _tokenizer, "transformer": _transformer, "decoder": _decoder}[args.what]
    with enough_memory("for such batches; repeat with a smaller --batch-size"):
        saved = train(args, folder, images)
    for path in saved:
        print(f"saved {path}")
    return 0


def _begin(args: argparse.Namespace, folder: TrainedFolder) -> Path:
    """The checkpoint of the first phase; with --restart those of all phases go, now that nothing is left to refuse."""
    phases = PHASES[args.what]
    if args.restart:
        for phase in phases:
            folder.checkpoint(phase).unlink(missing_ok=True)
    return folder.checkpoint(phases[0])


def _refuse_options_of_others(args: argparse.Namespace) -> None:
    for kinds, names in OPTIONS_OF.items():
        for name in names:
            given = getattr(args, name)
            if args.what not in kinds.split() and given is not None and given is not False:
                commands = " and ".join(f"`train {kind}`" for kind in kinds.split())
                raise UserError(f"--{name.replace('_', '-')} is an option of {commands}")


def _folder(args: argparse.Namespace) -> TrainedFolder:
    """The generator that is trained, as far as it is known before."""
    from iarbench.models import variants
    from iarbench.training.folder import TrainedFolder

    if args.what == "transformer":
        return TrainedFolder.open(args.out, args.name)
    like = variants.get(args.like)
    if args.what == "tokenizer":
        return TrainedFolder.begin(args.out, args.name, like)
    if not args.decoder:
        raise UserError("train decoder needs --decoder, the sizes in which it differs: --decoder '{ch: 8}'")
    folder = TrainedFolder.begin(args.out, args.name, like, decoder=args.decoder)
    if like.classes:
        folder.set_classes(list(like.classes))
    return folder


def _seconds(args: argparse.Namespace, fraction: float = 1.0) -> float | None:
    """The part of --minutes that is a phase's, in seconds; None without --minutes."""
    return None if args.minutes is None else 60 * args.minutes * fraction


def _first_phase(args: argparse.Namespace) -> float:
    return 1.0 if args.adversarial_steps == 0 else FIRST_PHASE


def _tokenizer(args: argparse.Namespace, folder: TrainedFolder, images: TrainingImages) -> list[Path]:
    import torch

    from iarbench.models import variants
    from iarbench.models.loading import build_tokenizer, load_tokenizer
    from iarbench.training.quality import tokenizer_quality
    from iarbench.training.recipe import make_recipe
    from iarbench.training.reconstruction import ReconstructionRecipe, train_reconstruction
    from iarbench.training.usage import count_usage

    began = time.monotonic()
    torch.manual_seed(0)
    tokenizer = build_tokenizer(folder.variant).to(args.device)
    if args.warm_start:
        tokenizer.load_state_dict(load_tokenizer(variants.get(args.like)).state_dict())
    first = make_recipe(
        ReconstructionRecipe,
        folder.variant.training.get("tokenizer", {}),
        steps=args.steps,
        seconds=_seconds(args, _first_phase(args)),
        batch=args.batch_size,
        lr=args.lr,
        commitment=args.commitment,
        isotropy=args.isotropy,
        isotropy_window=args.isotropy_window,
        isotropy_variance=args.isotropy_variance,
        latent_weight=args.latent_weight,
        latent_from=args.latent_from,
    )
    steps = train_reconstruction(tokenizer, images.pixels, first, _begin(args, folder))
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


def _sharpen(
    args: argparse.Namespace, folder: TrainedFolder, tokenizer: Tokenizer, images: TrainingImages
) -> dict[str, Any] | None:
    """The phase against a discriminator, where it is asked for: its numbers for the card."""
    from iarbench.training.adversarial import AdversarialRecipe, train_adversarial
    from iarbench.training.recipe import make_recipe

    recipe = make_recipe(
        AdversarialRecipe,
        folder.variant.training.get("adversarial", {}),
        steps=args.adversarial_steps,
        seconds=_seconds(args, 1 - FIRST_PHASE),
        batch=args.batch_size,
        latent_weight=args.latent_weight,
    )
    if not recipe.steps:
        return None
    steps = train_adversarial(tokenizer, images.pixels, recipe, folder.checkpoint("adversarial"))
    return {**asdict(recipe), "steps": steps}


def _decoder(args: argparse.Namespace, folder: TrainedFolder, images: TrainingImages) -> list[Path]:
    import torch

    from iarbench.models.loading import build_tokenizer, load_generator
    from iarbench.training.distill import DistillRecipe, distill_decoder
    from iarbench.training.pairs import pairs_of_pictures
    from iarbench.training.quality import tokenizer_quality
    from iarbench.training.recipe import make_recipe

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
        seconds=_seconds(args, _first_phase(args)),
        batch=args.batch_size,
        lr=args.lr,
    )
    error = distill_decoder(tokenizer, pairs, first, _begin(args, folder))
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


def _transformer(args: argparse.Namespace, folder: TrainedFolder, images: TrainingImages) -> list[Path]:
    from iarbench.models.loading import build_transformer, family_class, load_tokenizer
    from iarbench.training.more_classes import cut_to, with_classes
    from iarbench.training.recipe import make_recipe
    from iarbench.training.transformer import Examples, TransformerRecipe, tokenize, train_transformer

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
        seconds=_seconds(args),
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
    own, state = examples(chosen, recipe.views), _begin(args, folder)
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
    from dataclasses import replace

    if not images.classes and not args.labels:
        options.say(f"note: {args.images} tells no classes: all images are one; --label-column names a column of them")
        return replace(images, labels=images.labels + 1, classes=("image",))
    chosen = images.of_classes(options.names([args.labels]) if args.labels else images.classes)
    if left_out := int((images.labels < 0).sum()):
        options.say(f"note: {left_out} of {len(images.labels)} images are of unknown class and left out")
    return chosen
