"""``iarbench attack``: an image set as it is after an attack, as a new image set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.attack import Attack
    from iarbench.images.decode import Lossless
    from iarbench.images.image_set import ImageSet
    from iarbench.images.record import ImageRecord

EXAMPLES = """  iarbench attack --images iarbench-mini --attack jpeg50 --out sets/mini-jpeg50
  iarbench attack --images sets/mine --attack jpeg50+resize0.5 --container png --out sets/mine-attacked

Ids, sources and splits stay, so that attacked images pair with clean ones; the pixels are those that
`iarbench run --attack` scores.
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Attack every image of a set and write the result without further loss."
    parser = options.add_command(subparsers, "attack", "write an attacked image set", description, EXAMPLES)
    parser.add_argument("--images", required=True, help="an image set: a name, a path or hf:owner/name@revision")
    parser.add_argument("--attack", required=True, metavar="NAME", help="see `iarbench ls attacks`; join with +")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the image set")
    parser.add_argument("--container", choices=["webp", "png"], default="webp", help="lossless file format")


def execute(args: argparse.Namespace) -> int:
    """Attack and write; 1 when some images could not be decoded, attacked or stored."""
    from iarbench import attack as attacks
    from iarbench.content import images_path
    from iarbench.files import write_text
    from iarbench.images.image_set import ImageSet

    attack = attacks.parse(args.attack)
    images = ImageSet.open(images_path(args.images))
    problems: list[str] = []
    try:
        written = ImageSet.write(_attacked(images, attack, args.container, problems), args.out)
    finally:
        for problem in problems:
            options.say(f"error: {problem}")
    origin = {"images": args.images, "images_fingerprint": images.fingerprint, "attack": attack.name}
    write_text(args.out / "attack.json", json.dumps({**origin, "attack_version": attack.version}, indent=1) + "\n")
    left_out = f", {len(problems)} left out" if problems else ""
    print(f"{args.out}: {len(written)} images after {attack.name}{left_out}, fingerprint {written.fingerprint[:12]}")
    return 1 if problems else 0


def _attacked(images: ImageSet, attack: Attack, container: Lossless, problems: list[str]) -> Iterator[ImageRecord]:
    from iarbench.attack import attack_image
    from iarbench.images.decode import ImageError, encode, one_line

    for batch in images.iterate():
        for record in batch:
            try:
                image = attack_image(attack, record.pil(), record.image_id)
                attacked = record.with_bytes(encode(image, container, record.image_id), f"attack {attack.name}")
            except ImageError as error:
                problems.append(str(error))
                continue
            except UserError:
                raise
            except Exception as error:  # such as a side of more than 65,500 pixels, which JPEG cannot hold
                reason = f"{attack.name} failed ({type(error).__name__}: {error})"
                problems.append(f"{record.image_id}: {one_line(reason)}")
                continue
            yield attacked
