"""``iarbench attack``: an image set as it is after an attack, as a new image set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from iarbench.commands import options
from iarbench.commands.launch_options import add_launch, launch

EXAMPLES = """  iarbench attack --images iarbench-mini --attack jpeg50 --out sets/mini-jpeg50
  iarbench attack --images sets/mine --attack jpeg50+resize0.5 --container png --out sets/mine-attacked

Ids, sources and splits stay, so that attacked images pair with clean ones; the pixels are those that
`iarbench run --attack` scores. Re-run the same command to resume.
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Attack every image of a set and write the result without further loss."
    parser = options.add_command(subparsers, "attack", "write an attacked image set", description, EXAMPLES)
    parser.add_argument("--images", required=True, help=f"an image set: {options.SET_HELP}")
    parser.add_argument("--attack", required=True, metavar="NAME", help="see `iarbench ls attacks`; join with +")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the image set")
    parser.add_argument("--container", choices=["webp", "png"], default="webp", help="lossless file format")
    help = "images of a shard, the most that a kill can cost; default: 1000"
    parser.add_argument("--shard", type=options.positive, default=1000, metavar="N", help=help)
    add_launch(parser)


def execute(args: argparse.Namespace) -> int:
    """Attack what is missing and name the set; 1 when some images could not be decoded, attacked or stored."""
    from iarbench import attack as attacks
    from iarbench.content import images_path
    from iarbench.harness.launch.attack_work import problems_of
    from iarbench.harness.launch.order import command_line
    from iarbench.harness.launch.set_work import finish_set, make_shards, order_for, shards
    from iarbench.images.image_set import ImageSet

    engine = launch(args)
    attack = attacks.parse(args.attack)
    options.require_new_set(args.out)
    images = ImageSet.open(images_path(args.images))
    origin = {"images": args.images, "images_fingerprint": images.fingerprint, "attack": args.attack}
    origin |= {"attack_version": attack.version}
    asked = origin | {"container": args.container, "shard": args.shard}
    order = order_for(args.out, "attack", asked, {}, command_line())
    make_shards(order, shards(len(images), args.shard), engine, "cpu", sys.stderr, f"attack {attack.name}")
    problems = problems_of(order.place)
    for problem in problems:
        options.say(f"error: {problem}")
    written = finish_set(order, args.out, "attack.json", origin | {"attack": attack.name})
    left_out = f", {len(problems)} left out" if problems else ""
    print(f"{args.out}: {len(written)} images after {attack.name}{left_out}, fingerprint {written.fingerprint[:12]}")
    return 1 if problems else 0
