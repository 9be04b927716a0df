"""``iarbench gallery evaluate``: how good retrieval is on an image set."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.commands import options
from iarbench.commands.gallery_options import add_encoder, add_recipe, add_sides, check_sides, encoder_of, recipe_of
from iarbench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from iarbench.images.image_set import ImageSet
    from iarbench.retrieval.adapt import Recipe
    from iarbench.retrieval.encoders import Encoder
    from iarbench.retrieval.episodes import Episodes
    from iarbench.retrieval.evaluate import Drawn, Queries, Retrieval, ZeroShot

DESCRIPTION = """Draw galleries from one split, ask about all images of another, and print Rank-1 and mean average
precision with 95% intervals over the draws, beside what guessing gives; then real against generated without a gallery,
and episodes of few classes. Galleries hold clean images; only the queries are attacked."""


def add_parser(actions: options.Subparsers, examples: str) -> None:
    """Add the action to those of `iarbench gallery`."""
    parser = options.add_command(actions, "evaluate", "Rank-1 and mAP on an image set", DESCRIPTION, examples)
    parser.add_argument("set", metavar="SET", help=options.SET_HELP)
    parser.add_argument("--k", default="1,5,10", metavar="LIST", help="images per class; default: 1,5,10")
    parser.add_argument("--draws", type=options.positive, default=5, help="galleries of each size; default: 5")
    parser.add_argument("--seed", type=options.not_negative, default=0, help="of the first draw; default: 0")
    parser.add_argument("--gallery-split", default="fit", metavar="NAME", help="default: fit")
    parser.add_argument("--query-split", default="test", metavar="NAME", help="default: test")
    parser.add_argument("--attack", action="append", metavar="NAMES", help="on the queries; default: none")
    parser.add_argument("--adapt", choices=["no", "yes", "both"], default="no", help="train on each gallery first")
    parser.add_argument(
        "--episodes", type=options.not_negative, default=1000, metavar="N", help="of each kind; default: 1000, 0: none"
    )
    parser.add_argument("--limit", type=options.positive, metavar="N", help="only the first N queries of each class")
    add_sides(parser)
    add_encoder(parser)
    add_recipe(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per number")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON objects to this file as well")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def execute(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    from iarbench.content import images_path
    from iarbench.files import write_text
    from iarbench.images.image_set import ImageSet
    from iarbench.retrieval.draw import sides

    sizes, attacks = _sizes(args.k), _attacks(args)
    check_sides(args)
    options.require_new_file(args.out, "--out")
    whole = ImageSet.open(images_path(args.set))
    known = whole.filter(split=args.gallery_split)
    if not len(known):
        raise UserError(f"{args.set} has no images of split {args.gallery_split!r}; choose one with --gallery-split")
    real = sides(known.index()["source"], args.real, args.generated)
    if len(real) < 2:
        raise UserError(f"{args.set} has one class only in split {args.gallery_split!r}; retrieval needs two")
    galleries = _galleries(args, known, sizes)
    queries = _queries(args, whole.filter(split=args.query_split, source=real), attacks)
    encoder = encoder_of(args)
    rows = [_identified(args, row) for row in _evaluate(args, encoder, galleries, queries, real)]
    generators = [name for name, is_real in real.items() if not is_real]
    rows += [_identified(args, row) for row in _episodes(args, encoder, known, queries, generators)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if args.out:
        write_text(args.out, text)
    print(text if args.json else _tables(rows), end="")
    return 0


def _attacks(args: argparse.Namespace) -> dict[str, str]:
    """Name of each attack -> as it was written. Raises UserError for one that is unknown."""
    from iarbench.attack import parse

    return {parse(attack).name: attack for attack in options.names(args.attack) or ["none"]}


def _galleries(args: argparse.Namespace, known: ImageSet, sizes: list[int]) -> list[Drawn]:
    from iarbench.retrieval.draw import draw
    from iarbench.retrieval.evaluate import Drawn
    from iarbench.retrieval.reading import set_pixels

    found = []
    for k in sizes:
        for seed in range(args.seed, args.seed + args.draws):
            drawn = draw(known.index(), k, seed)
            ids = [image_id for several in drawn.values() for image_id in several]
            labels = tuple(label for label, several in drawn.items() for _ in several)
            found.append(Drawn(k, set_pixels(known, ids), labels))
    return found


def _sizes(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(f"--k {text}: give whole numbers from 1, separated by commas, such as 1,5,10")
    return list(dict.fromkeys(map(int, parts)))


def _queries(args: argparse.Namespace, asked: ImageSet, names: dict[str, str]) -> dict[str, Queries]:
    from iarbench.progress import counted
    from iarbench.retrieval.evaluate import Queries
    from iarbench.retrieval.reading import set_pixels

    index = asked.index()
    if index.empty:
        raise UserError(f"{args.set} has no images of split {args.query_split!r} of the gallery's classes")
    if args.limit:
        index = index.groupby("source", sort=False).head(args.limit)
    ids: list[str] = index["image_id"].tolist()
    labels, groups = tuple(index["source"].tolist()), tuple(index["group"].tolist())
    attacks = counted(names.items(), "reading queries", len(names), "attacks")
    return {name: Queries(set_pixels(asked, ids, attack), labels, groups) for name, attack in attacks}


def _evaluate(
    args: argparse.Namespace,
    encoder: Encoder,
    galleries: list[Drawn],
    queries: dict[str, Queries],
    real: Mapping[str, bool],
) -> list[Retrieval | ZeroShot]:
    from iarbench.retrieval.evaluate import retrievals, zero_shot

    recipes: list[Recipe | None] = [None] if args.adapt != "yes" else []
    recipes += [recipe_of(args)] if args.adapt != "no" else []
    rows: list[Retrieval | ZeroShot] = []
    for recipe in recipes:
        rows += retrievals(encoder, galleries, queries, real, recipe)
    return rows + zero_shot(encoder, queries, real)


def _episodes(
    args: argparse.Namespace, encoder: Encoder, known: ImageSet, queries: dict[str, Queries], generators: list[str]
) -> list[Episodes]:
    """Of generators alone, with the encoder as pre-trained and queries that nobody attacked."""
    from iarbench.retrieval.episodes import run_episodes
    from iarbench.retrieval.reading import set_pixels

    asked = queries.get("none")
    if not args.episodes or asked is None or len(generators) < 2:
        return []
    features = encoder.features(asked.pixels).double().numpy()
    labels = list(asked.labels)
    found = {name: features[[label == name for label in labels]] for name in generators}
    pool = {}
    for name in generators:
        ids = known.filter(source=name).index()["image_id"].tolist()
        pool[name] = encoder.features(set_pixels(known, ids)).double().numpy()
    return [
        run_episodes(pool, found, ways, shots, args.episodes, args.seed)
        for ways in range(2, len(generators) + 1)
        for shots in _sizes(args.k)
    ]


def _identified(args: argparse.Namespace, row: Retrieval | ZeroShot | Episodes) -> dict[str, Any]:
    about = {"set": args.set, "fingerprint": args.fingerprint, "weights": args.weights or "small", "mode": args.mode}
    return {"what": type(row).__name__, **about, "draws_from": args.seed, **asdict(row)}


def _tables(rows: list[dict[str, Any]]) -> str:
    found = [["attack", "adapted", "k", "classes", "Rank-1 %", "chance", "mAP %", "chance"]]
    for row in rows:
        if row["what"] == "Retrieval":
            scope = f"{row['classes']} {'generators' if row['scope'] == 'generators' else 'with real'}"
            numbers = [_interval(row["rank1"], "mean"), _percent(row["chance_rank1"])]
            numbers += [_interval(row["mean_average_precision"], "mean")]
            numbers += [_percent(row["chance_mean_average_precision"])]
            found.append([row["attack"], "yes" if row["adapted"] else "no", str(row["k"]), scope, *numbers])
    tables = [found]
    detection = [["attack", "real against generated, AUROC %", "accuracy % at cosine 0.85"]]
    for row in rows:
        if row["what"] == "ZeroShot":
            auroc = _interval(row["auroc"], "value")
            detection.append([row["attack"], auroc, _percent(row["balanced_accuracy"])])
    episodes = [["episodes", "accuracy %", "chance"]]
    for row in rows:
        if row["what"] == "Episodes":
            kind = f"{row['ways']}-way {row['shots']}-shot"
            episodes.append([kind, _interval(row["accuracy"], "value"), _percent(row["chance"])])
    tables += [table for table in (detection, episodes) if len(table) > 1]
    first, *rest = tables
    return "\n\n".join([options.table(first, drop=(7, 5, 1)), *map(options.table, rest)]) + "\n"


def _interval(estimate: Mapping[str, float], middle: str) -> str:
    return f"{_percent(estimate[middle])} [{_percent(estimate['low'])}, {_percent(estimate['high'])}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
