"""``iarbench ls``: what there is, without loading any of it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from iarbench.commands import options

if TYPE_CHECKING:
    from iarbench.described import Described

DASH = "–"
DROPPED = {
    "generators": ("licence", "size", "family"),
    "detectors": ("parameters", "learns from", "needs", "reads", "MiB/image", "version", "s/image"),
    "attacks": ("parameters",),
    "tasks": ("targets", "version"),
}
"""Columns that a narrow terminal leaves out, the first one first."""
BROKEN = "broken"
"""Stands in the line of what an installed package announces and cannot give."""

EXAMPLES = """  iarbench ls                everything
  iarbench ls generators     models that can be a target or make images
  iarbench ls attacks        and the parameters they take
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "List generators, detectors, attacks, suites, tasks and sources, those of installed packages included."
    )
    parser = options.add_command(subparsers, "ls", "list what there is", description, EXAMPLES)
    parser.add_argument("what", nargs="?", choices=list(SECTIONS), help="only this kind")


def execute(args: argparse.Namespace) -> int:
    """Print one table or all."""
    for name in [args.what] if args.what else list(SECTIONS):
        header, *rows = SECTIONS[name]()
        if not args.what:
            print(name.upper())
        drop = [header.index(column) for column in DROPPED.get(name, ())]
        print(options.table([header, *rows], drop, wrap=True) if rows else "none")
        if not args.what:
            print()
    return 0


def _generators() -> Iterator[list[str]]:
    from iarbench.models import variants
    from iarbench.models.weights import encoders

    yield ["name", "family", "size", "encoders", "licence"]
    for name in variants.names():
        found = variants.get(name)
        yield [name, found.family, f"{found.image_size} px", ", ".join(encoders(found)), found.licence]
    yield from ([what, BROKEN, "", "", why] for what, why in variants.problems().items())


def _detectors() -> Iterator[list[str]]:
    from iarbench.described import described
    from iarbench.registry import DETECTORS

    yield ["name", "version", "s/image", "MiB/image", "reads", "needs", "learns from", "parameters", "what it is"]
    for one in described(DETECTORS):
        about = [one.value("version", "1"), *_cost(one), *_needs(one), ", ".join(one.parameters()), one.brief]
        yield [one.name, *(about if not one.broken else [BROKEN, *[""] * 6, one.broken])]


def _cost(one: Described) -> list[str]:
    """On one core at the dearest mini; "?" where it was not measured."""
    values = [one.value("seconds_per_image", "None"), one.value("mib_per_image", "None")]
    return [value.replace("None", "?") for value in values]


def _needs(one: Described) -> list[str]:
    """What of a target the score rests on, what its tokenizer must be able to do, and which images it learns from."""
    reads, needs = (", ".join(re.findall(r"'(\w+)'", one.value(name, ""))) for name in ("reads", "requires"))
    trained = one.value("pretrained_on", "").strip("'\"")
    learns = ["fit split"] if one.has_method("fit") else []
    return [reads or "tokenizer", needs or DASH, ", ".join([*learns, *([trained] if trained else [])]) or DASH]


def _attacks() -> Iterator[list[str]]:
    from iarbench.described import described
    from iarbench.registry import ATTACKS

    yield ["name", "parameters", "what it does"]
    for one in described(ATTACKS):
        about = [one.name, ", ".join(one.fields()), one.brief]
        yield about if not one.broken else [one.name, BROKEN, one.broken]


def _suites() -> Iterator[list[str]]:
    from iarbench.attacks.suites import PREFIX, SUITES

    yield ["name", "attacks", "not among them", "source"]
    for name, suite in SUITES.items():
        yield [f"{PREFIX}{name}", str(len(suite.attacks)), str(len(suite.beyond) or DASH), suite.source]


def _tasks() -> Iterator[list[str]]:
    from iarbench.content import task_names, task_path
    from iarbench.specs import parse_task, read_text

    yield ["name", "version", "targets", "description"]
    for name in task_names():
        path = task_path(name)
        spec = parse_task(read_text(path), str(path))
        yield [name, str(spec.version), ", ".join(spec.targets), spec.description]


def _sources() -> Iterator[list[str]]:
    from iarbench.described import described
    from iarbench.registry import SOURCES

    yield ["name", "what it brings in"]
    yield from ([one.name, one.brief if not one.broken else f"{BROKEN}: {one.broken}"] for one in described(SOURCES))


SECTIONS: dict[str, Callable[[], Iterator[list[str]]]] = {
    "generators": _generators,
    "detectors": _detectors,
    "attacks": _attacks,
    "suites": _suites,
    "tasks": _tasks,
    "sources": _sources,
}
