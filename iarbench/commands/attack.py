"""``iarbench attack``: an image set as it is after an attack, or after each attack of a suite, as new image sets."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from iarbench.commands import options
from iarbench.commands.launch_options import add_launch, launch

EXAMPLES = """  iarbench attack --images iarbench-mini --attack jpeg50 --out sets/mini-jpeg50
  iarbench attack --images sets/mine --attack jpeg50+resize0.5 --container png --out sets/mine-attacked
  iarbench attack --images sets/mine --attack suite:wmar --out sets/wmar     a set for each, such as sets/wmar/jpeg25

Ids, sources and splits stay, so that attacked images pair with clean ones; the pixels are those that
`iarbench run --attack` scores. Re-run the same command to resume.
"""

LIST = "attacks.json"
"""Beside the sets of several attacks: what was made, and what was left out and why."""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Attack every image of a set and write the result without further loss."
    parser = options.add_command(subparsers, "attack", "write attacked image sets", description, EXAMPLES)
    parser.add_argument("--images", required=True, help=f"an image set: {options.SET_HELP}")
    help = (
        "of `iarbench ls attacks`, joined with +; several, with commas, or a suite of `iarbench ls suites`: a set each"
    )
    parser.add_argument("--attack", required=True, metavar="NAME", help=help)
    parser.add_argument("--out", type=Path, required=True, help="new folder for the image set, or for several of them")
    parser.add_argument("--container", choices=["webp", "png"], default="webp", help="lossless file format")
    help = "images of a shard, the most that a kill can cost; default: 1000"
    parser.add_argument("--shard", type=options.positive, default=1000, metavar="N", help=help)
    options.add_weights(parser)
    add_launch(parser)


def execute(args: argparse.Namespace) -> int:
    """Attack what is missing and name the sets; 1 when some images could not be decoded, attacked or stored."""
    from iarbench.attacks.suites import PREFIX, expand
    from iarbench.content import images_path
    from iarbench.files import require_writable, write_text
    from iarbench.harness.launch.attack_work import Attacked, require_no_set
    from iarbench.harness.launch.order import command_line
    from iarbench.harness.store import safe
    from iarbench.images.image_set import ImageSet

    engine, weights = launch(args), options.weights_folder(args)
    asked = options.names([args.attack])
    names, notes = expand(asked)
    several = len(asked) != 1 or asked[0].startswith(PREFIX)
    if several:
        require_no_set(args.out)
        require_writable(args.out, "--out")
    else:
        options.require_new_set(args.out)
    images = ImageSet.open(images_path(args.images))
    about = {"images": args.images, "images_fingerprint": images.fingerprint}
    folders = {name: args.out / safe(name) if several else args.out for name in names}
    sets = [Attacked(folder, name, about, args.container, weights) for name, folder in folders.items()]
    there = [several and one.is_there() for one in sets]  # of every set, before the first one is made
    for note in notes:
        options.say(f"note: {note}")
    made = {}
    for number, one in enumerate(sets, start=1):
        if not there[number - 1]:
            of_all = f" ({number} of {len(sets)})" if several else ""
            label = f"attack {one.attack.name}{of_all}"
            one.make(len(images), args.shard, engine, sys.stderr, label, command_line())
        made[one.attack.name] = found = one.report()
        for problem in found["left_out"]:
            options.say(f"error: {problem}")
        left_out = f", {len(found['left_out'])} left out" if found["left_out"] else ""
        count, fingerprint = found["images"], found["fingerprint"][:12]
        print(f"{one.out}: {count} images after {one.attack.name}{left_out}, fingerprint {fingerprint}")
    if several:
        listed = {**about, "attack": args.attack, "sets": made, "notes": notes}
        write_text(args.out / LIST, json.dumps(listed, indent=1) + "\n")
        print(f"{args.out}: {len(sets)} image sets; {LIST} says what is in them and what was left out")
    return 1 if any(one["left_out"] for one in made.values()) else 0
