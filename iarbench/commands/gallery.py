"""``iarbench gallery``: attribution by retrieval from a gallery of known images."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import gallery_evaluate, options
from iarbench.commands.gallery_options import add_encoder, add_recipe, add_sides, check_sides, encoder_of, recipe_of
from iarbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXAMPLES = """  iarbench gallery build iarbench-mini --k 5 --real flickr --out mini.gallery
  iarbench gallery add mini.gallery new/*.png --name my-generator    no training: they are described and kept
  iarbench gallery query mini.gallery picture.png
  iarbench gallery evaluate iarbench-mini --real flickr --attack none,jpeg50 --adapt both

A query is answered by the class of the most similar gallery image. A similarity is no probability, and every image
resembles something: `iarbench trace` gives calibrated answers.
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command and its four actions to the command line."""
    description = "Keep a few images of every generator; a new image is of the class that it is most similar to (LIDA)."
    parser = options.add_command(subparsers, "gallery", "attribution by retrieval", description, EXAMPLES)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = options.add_command(actions, "build", "draw a gallery from an image set", "", EXAMPLES)
    build.add_argument("set", metavar="SET", help=options.SET_HELP)
    build.add_argument("--out", type=Path, required=True, metavar="FILE", help="new file for the gallery")
    build.add_argument("--k", type=options.positive, default=5, help="images per class; default: 5")
    build.add_argument("--seed", type=options.not_negative, default=0, help="of the draw; default: 0")
    build.add_argument("--split", default="fit", help="split to draw from; default: fit")
    build.add_argument("--adapt", action="store_true", help="train the encoder on the gallery first")
    add_sides(build)
    add_encoder(build)
    add_recipe(build)
    add = options.add_command(actions, "add", "register images without training", "", EXAMPLES)
    add.add_argument("gallery", type=Path, metavar="GALLERY", help="file of `iarbench gallery build`; it is changed")
    add.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files")
    add.add_argument("--name", required=True, help="their class: an old or a new one")
    add.add_argument("--real", action="store_true", help="they are real images")
    query = options.add_command(actions, "query", "whose images are these most similar to?", "", EXAMPLES)
    query.add_argument("gallery", type=Path, metavar="GALLERY", help="file of `iarbench gallery build`")
    query.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files")
    query.add_argument("--top", type=options.positive, default=3, metavar="N", help="classes to show; default: 3")
    query.add_argument("--json", action="store_true", help="one JSON object per image, with every class")
    gallery_evaluate.add_parser(actions, EXAMPLES)


def execute(args: argparse.Namespace) -> int:
    """Do one of the four; 1 when an image could not be read."""
    actions = {"build": _build, "add": _add, "query": _query, "evaluate": gallery_evaluate.execute}
    return actions[args.action](args)


def _build(args: argparse.Namespace) -> int:
    from iarbench.content import images_path
    from iarbench.images.image_set import ImageSet
    from iarbench.retrieval.draw import draw, sides

    if args.out.exists():
        raise UserError(f"{args.out} is there already: give a new file")
    options.require_new_file(args.out, "--out")
    check_sides(args)
    images = ImageSet.open(images_path(args.set)).filter(split=args.split)
    index = images.index()
    if index.empty:
        raise UserError(f"{args.set} has no images of split {args.split!r}; choose one with --split")
    real = sides(index["source"], args.real, args.generated)
    drawn = draw(index, args.k, args.seed)

    from iarbench.retrieval.gallery import Gallery, entry_of
    from iarbench.retrieval.reading import set_pixels

    pairs = [(image_id, label) for label, ids in drawn.items() for image_id in ids]
    pixels = set_pixels(images, [image_id for image_id, _ in pairs])
    entries = [
        entry_of(image_id, label, real[label], image) for (image_id, label), image in zip(pairs, pixels, strict=True)
    ]
    made = Gallery.build(encoder_of(args), entries, pixels, recipe_of(args) if args.adapt else None)
    made.save(args.out)
    adapted = ", encoder adapted to them" if args.adapt else ""
    print(f"{args.out}: {len(entries)} images of {len(drawn)} classes ({', '.join(drawn)}){adapted}")
    return 0


def _add(args: argparse.Namespace) -> int:
    from iarbench.retrieval.gallery import Gallery, entry_of

    gallery = Gallery.load(args.gallery)
    found, failed = _read(args.images)
    if failed:
        options.say(f"error: nothing was added to {args.gallery}")
        return 1
    entries = [entry_of(str(path), args.name, args.real, image) for path, image in found]
    more = gallery.with_images(entries, [image for _, image in found])
    more.save(args.gallery)
    print(f"{args.gallery}: {len(found)} images added as {args.name}, {len(more.entries)} in all")
    return 0


def _query(args: argparse.Namespace) -> int:
    from iarbench.retrieval.gallery import Gallery

    gallery = Gallery.load(args.gallery)
    found, failed = _read(args.images)
    pixels = [image for _, image in found]
    answers = gallery.query(pixels) if found else []
    real: list[float] | list[None] = (gallery.realness(pixels) if found else None) or [None] * len(found)
    if args.json:
        for (path, _), matches, value in zip(found, answers, real, strict=True):
            classes = [asdict(match) for match in matches]
            print(json.dumps({"image": str(path), "answer": matches[0].label, "realness": value, "classes": classes}))
    elif found:
        rows = [["image", "answer", "cosine", "then", "to real"]]
        for (path, _), matches, value in zip(found, answers, real, strict=True):
            then = ", ".join(f"{match.label} {match.similarity:.3f}" for match in matches[1 : args.top])
            to_real = "" if value is None else f"{value:.3f}"
            rows.append([str(path), matches[0].label, f"{matches[0].similarity:.3f}", then, to_real])
        print(options.table(rows))
    return 1 if failed else 0


def _read(paths: list[Path]) -> tuple[list[tuple[Path, NDArray[np.uint8]]], int]:
    """The images that can be read, and how many cannot, which are named."""
    from iarbench.retrieval.reading import file_pixels

    found, failed = [], 0
    for path in paths:
        try:
            found.append((path, file_pixels(path)))
        except UserError as error:
            options.say(f"error: {error}")
            failed += 1
    return found, failed
