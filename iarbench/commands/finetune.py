"""``iarbench finetune``: an inverse encoder for one generator, trained on its own images."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from iarbench.commands import options
from iarbench.commands.launch_options import add_launch, launch
from iarbench.errors import UserError

EXAMPLES = """  iarbench finetune --generator llamagen-mini --out encoders/
  iarbench finetune --generator llamagen-mini --augment --out encoders/
  iarbench finetune --generator llamagen-mini --tokens-of photographs/ --out encoders/
  iarbench finetune --generator llamagen-mini,rar-mini --launch local --out encoders/      one process each
  iarbench run --target llamagen-mini --encoder inverse --weights encoders/
Training images come from the split "train", whose seeds no evaluation set shares; with --tokens-of nothing is sampled.
Re-run the same command to resume.
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Fine-tune the encoder so that it inverts the decoder (arXiv 2606.28386, section 4.2). "
        "Decoder and codebook stay frozen."
    )
    parser = options.add_command(
        subparsers, "finetune", "train an inverse encoder on a generator's own images", description, EXAMPLES
    )
    help = "a generator of `iarbench ls generators`; several with commas"
    parser.add_argument("--generator", required=True, help=help)
    parser.add_argument("--out", type=Path, required=True, help="folder for the encoder and its checkpoints")
    parser.add_argument("--augment", action="store_true", help="the paper's weak, medium, strong augmentation schedule")
    parser.add_argument("--count", type=options.positive, default=6000, help="how many images to train on, at most")
    parser.add_argument(
        "--tokens-of",
        metavar="IMAGES",
        help="train on images decoded from the tokens of these pictures (the first --count), in place of sampled ones; "
        "needs no transformer, only a folder, Parquet file or image set",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=options.positive, help="default from the recipe")
    length.add_argument("--minutes", type=options.above_zero, help="train for so long in place of --epochs")
    parser.add_argument("--batch-size", type=options.positive, metavar="N", help="default from the recipe")
    parser.add_argument("--lr", type=options.above_zero, help="learning rate; default from the recipe")
    parser.add_argument("--restart", action="store_true", help="begin anew, whatever checkpoint is in --out")
    options.add_device(parser)
    options.add_weights(parser)
    parser.add_argument("--threads", type=options.positive, help="CPU threads")
    add_launch(parser)


def execute(args: argparse.Namespace) -> int:
    """Fine-tune one generator after the other, or where --launch says."""
    from iarbench.files import require_writable
    from iarbench.models import variants

    engine, names = launch(args), options.names([args.generator])
    if not names:
        raise UserError("--generator is empty: give a name of `iarbench ls generators`")
    for name in names:
        variants.get(name)  # a name that nobody knows is said before the first one trains
    options.check_device_here(args)
    weights = options.weights_folder(args)
    require_writable(args.out, "--out")
    if args.tokens_of:
        options.require_source(args.tokens_of)
    if engine is None:
        return max(finetune(argparse.Namespace(**{**vars(args), "generator": name})) for name in names)
    from iarbench.harness.launch.finetune_work import finetune_elsewhere
    from iarbench.harness.launch.order import command_line

    words = ("augment", "count", "tokens_of", "epochs", "minutes", "batch_size", "lr", "restart", "device", "threads")
    asked = {name: getattr(args, name) for name in words} | {"weights": weights and str(weights)}
    finetune_elsewhere(asked, names, args.out, engine, command_line(), sys.stderr)
    print(f"{args.out}: inverse encoders of {', '.join(names)}")
    return 0


def finetune(args: argparse.Namespace) -> int:
    """Make the training images of one generator (once), fine-tune, save; `execute` has seen that the options can be."""
    import torch
    from safetensors.torch import save

    from iarbench.device import enough_memory, resolve_device
    from iarbench.files import remove_leftovers, write_atomically
    from iarbench.models import variants
    from iarbench.models.loading import load_tokenizer
    from iarbench.nn.memory import keep_freed_memory
    from iarbench.training.data import load_images
    from iarbench.training.inverse import InverseRecipe, finetune_inverse, inverse_state
    from iarbench.training.pairs import own_pairs, pairs_of_pictures
    from iarbench.training.recipe import make_recipe

    variant, weights = variants.get(args.generator), options.weights_folder(args)  # another machine may not see it
    recipe = make_recipe(
        InverseRecipe,
        variant.finetune,
        epochs=args.epochs,
        seconds=args.minutes and 60 * args.minutes,
        batch=args.batch_size,
        lr=args.lr,
        augment=args.augment,
    )
    remove_leftovers(args.out)
    device = resolve_device(args.device)
    keep_freed_memory()
    if args.threads:
        torch.set_num_threads(args.threads)
    began = time.monotonic()
    tokenizer = load_tokenizer(variant, weights_dir=weights).to(device)
    if args.tokens_of:
        pictures = load_images(args.tokens_of, variant.image_size, limit=args.count)
        options.say(pictures.skipped, quiet=not pictures.skipped)
        pairs = pairs_of_pictures(tokenizer, pictures.pixels)
    else:
        pairs = own_pairs(variant, args.count, args.out, device, weights)
    name = f"{variant.stem}-{'inverse-aug' if args.augment else 'inverse'}"
    state = args.out / "checkpoints" / f"{name}.pt"
    if args.restart:
        state.unlink(missing_ok=True)
    with enough_memory("for such batches; repeat with a smaller --batch-size"):
        losses = finetune_inverse(tokenizer, pairs.pixels, pairs.tokens, recipe, state)
    file = args.out / f"{name}.safetensors"
    half = {k: v.cpu().half().contiguous() for k, v in inverse_state(tokenizer).items()}
    write_atomically(file, lambda opened: opened.write(save(half)))
    ends = " -> ".join(f"{loss:.3g}" for loss in losses[:: max(len(losses) - 1, 1)])  # one number for one epoch
    print(f"saved {file}: mean loss of an epoch {ends} in {time.monotonic() - began:.0f} s")
    return 0
