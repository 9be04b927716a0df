"""``iarbench generate``: images of one generator as an image set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.commands.launch_options import add_launch, launch

if TYPE_CHECKING:
    from iarbench.models.variants import Variant

EXAMPLES = """  iarbench generate --generator llamagen-mini --count 300 --grid llamagen.png --out sets/llamagen
  iarbench generate --generator var-mini --count 50000 --launch local --out sets/var-50k     a process a GPU, or a core
  iarbench generate --generator var-mini --count 5000 --split train --out sets/var-train
  iarbench generate --generator var-d16 --sampling release --weights ~/weights --device cuda --count 1000 --out sets/d16
Re-run the same command to resume at the shard where it stopped.
An image depends on its id (generator/split/number) and --seed alone, never on the batch. The minis are sampled in
float64: their images are the same on any machine. Larger models' may differ by a grey level between processors.
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Sample images, classes in turn, and write them as an image set with tokens, seeds and classes."
    parser = options.add_command(subparsers, "generate", "make images with a generator", description, EXAMPLES)
    parser.add_argument("--generator", required=True, help="of `iarbench ls generators`, or hf:owner/name@revision")
    parser.add_argument("--count", type=options.positive, required=True, help="how many images")
    parser.add_argument("--out", type=Path, required=True, help="folder for the image set; must not hold one yet")
    parser.add_argument("--prompts", type=Path, help="text file, one prompt a line, or an image set with captions")
    parser.add_argument(
        "--split", type=options.new_name, default="test", help="name of the split; another split, other images"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, other images")
    parser.add_argument("--sampling", default="default", help="named sampling settings of the generator")
    parser.add_argument("--container", choices=["webp", "png"], default="webp", help="lossless file format")
    parser.add_argument("--batch-size", type=options.positive, default=50)
    parser.add_argument(
        "--grid", type=options.picture, metavar="FILE", help="also draw the first 64 images as one picture"
    )
    help = "images of a shard, the most that a kill can cost; default: 1000"
    parser.add_argument("--shard", type=options.positive, default=1000, metavar="N", help=help)
    options.add_device(parser)
    options.add_weights(parser)
    add_launch(parser)


def execute(args: argparse.Namespace) -> int:
    """Sample what is missing, and give the set its name."""
    from iarbench import __version__
    from iarbench.files import require_writable, write_atomically
    from iarbench.harness.launch.order import command_line
    from iarbench.harness.launch.set_work import finish_set, make_shards, order_for, shards
    from iarbench.images.contact_sheet import contact_sheet
    from iarbench.models import variants
    from iarbench.models.weights import weights_hash

    engine, weights = launch(args), options.weights_folder(args)
    options.check_device_here(args)
    variant = variants.get(args.generator)
    variant.require_sampling(args.sampling)
    require_writable(args.out.parent, "--out")
    options.require_new_file(args.grid, "--grid")
    asked = {
        "generator": variant.name,
        "weights": weights_hash(variant, "original", weights, transformer=True),
        "split": args.split,
        "count": args.count,
        "seed": args.seed,
        "sampling": args.sampling,
        "conditions": list(_conditions(args, variant)),
        "container": args.container,
        "shard": args.shard,
    }
    how = {"device": args.device, "batch_size": args.batch_size, "weights": weights and str(weights)}
    order = order_for(args.out, "generate", asked, how, command_line())
    label = f"generate {variant.name}/{args.split}"
    make_shards(order, shards(args.count, args.shard), engine, args.device, sys.stderr, label)
    settings = {"settings": variant.sampling.get(args.sampling), "iarbench": __version__}
    images = finish_set(order, args.out, "generation.json", asked | settings)
    if args.grid:
        first = next(images.iterate(batch_size=64))
        sheet = contact_sheet([record.pil() for record in first], columns=8)
        write_atomically(args.grid, lambda file: sheet.save(file, format=options.PICTURES[args.grid.suffix.lower()]))
    print(f"{len(images)} images in {args.out}, fingerprint {images.fingerprint[:12]}")
    return 0


def _conditions(args: argparse.Namespace, variant: Variant) -> Sequence[int] | Sequence[str]:
    from iarbench.errors import UserError

    if args.prompts is None:
        if not variant.every_condition:
            raise UserError(f"{variant.name} is text-conditional: give --prompts FILE, a file of one prompt a line")
        return variant.every_condition
    if variant.conditions != "text":
        raise UserError(f"{variant.name} takes class numbers, not prompts: leave out --prompts")
    lines = _captions(args.prompts) if args.prompts.is_dir() else _lines(args.prompts)
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise UserError(f"{args.prompts} holds no prompt: write one per line")
    return prompts


def _captions(images: Path) -> list[str]:
    """The conditions of an image set, such as COCO's captions."""
    from iarbench.images.image_set import ImageSet

    return [str(condition) for condition in ImageSet.open(images).index()["condition"]]


def _lines(file: Path) -> list[str]:
    from iarbench.errors import UserError
    from iarbench.specs import read_text

    if not file.is_file():
        raise UserError(f"--prompts {file}: there is no such file; give one prompt a line")
    return read_text(file).splitlines()
