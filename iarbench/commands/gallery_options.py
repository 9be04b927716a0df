"""Options that the actions of ``iarbench gallery`` share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError
from iarbench.retrieval.source import KINDS, MODES, PACKAGED, Source

if TYPE_CHECKING:
    from iarbench.retrieval.adapt import Recipe
    from iarbench.retrieval.encoders import Encoder


def add_sides(parser: argparse.ArgumentParser) -> None:
    """--real and --generated."""
    help = "sets of real images; repeat it, or separate names by commas"
    parser.add_argument("--real", action="append", metavar="NAME", help=help)
    help = "sets of generated images whose names iarbench does not know"
    parser.add_argument("--generated", action="append", metavar="NAME", help=help)


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """--fingerprint, --weights, --mode and --device, for `encoder_of`."""
    help = "of the three lowest bits: whether one is set, their value, or each apart; default: levels"
    parser.add_argument("--fingerprint", choices=KINDS, default="levels", help=help)
    help = "weights of a ResNet-50, as released by LIDA; default: the small encoder that comes along"
    parser.add_argument("--weights", metavar="FILE", help=help)
    parser.add_argument("--mode", choices=MODES, default="full", help="what a ResNet-50 sees of the 256 px map")
    options.add_device(parser)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """--epochs, --rate and --temperature, for `recipe_of`."""
    recipe = parser.add_argument_group("adaptation")
    recipe.add_argument("--epochs", type=options.positive, default=100, help="default: 100, as in the paper")
    recipe.add_argument("--rate", type=options.above_zero, default=1e-4, help="default: 0.0001, as in the paper")
    recipe.add_argument(
        "--temperature", type=options.above_zero, default=0.1, help="of the loss for real images; default: 0.1"
    )


def check_sides(args: argparse.Namespace) -> None:
    """Split --real and --generated into names; see that device and weights are there, without loading them.

    Raises:
        UserError: they are not.
    """
    from iarbench.device import check_device

    args.real, args.generated = options.names(args.real), options.names(args.generated)
    check_device(args.device)
    if args.weights and not Path(args.weights).is_file():
        raise UserError(f"--weights {args.weights}: there is no such file")


def encoder_of(args: argparse.Namespace) -> Encoder:
    """What the options of `add_encoder` say. Raises UserError for weights or a device that cannot be used."""
    from iarbench.device import resolve_device
    from iarbench.retrieval.encoders import load_encoder

    source = Source(args.fingerprint, args.mode, args.weights or PACKAGED)
    return load_encoder(source).to(resolve_device(args.device))


def recipe_of(args: argparse.Namespace) -> Recipe:
    """What the options of `add_recipe` say; the seed is that of the draw."""
    from iarbench.retrieval.adapt import Recipe

    return Recipe(epochs=args.epochs, rate=args.rate, temperature=args.temperature, seed=args.seed)
