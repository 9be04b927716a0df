"""``iarbench ls``: what there is, without loading any of it."""

from __future__ import annotations

import argparse
import ast
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options

if TYPE_CHECKING:
    from iarbench.registry import Registry

EXAMPLES = """  iarbench ls                everything
  iarbench ls generators     models that can be a target or make images
  iarbench ls attacks        and the numbers they take
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "List generators, detectors, attacks, tasks and sources, those of installed packages included."
    parser = options.add_command(subparsers, "ls", "list what there is", description, EXAMPLES)
    parser.add_argument("what", nargs="?", choices=list(SECTIONS), help="only this kind")


def execute(args: argparse.Namespace) -> int:
    """Print one table or all."""
    for name in [args.what] if args.what else list(SECTIONS):
        header, *rows = SECTIONS[name]()
        if not args.what:
            print(name.upper())
        print(options.table([header, *rows] if rows else [["none"]]))
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


def _detectors() -> Iterator[list[str]]:
    from iarbench.registry import DETECTORS

    yield ["name", "version", "what it is"]
    for name in DETECTORS.names():
        found = DETECTORS.get(name)
        yield [name, str(found.version), _first_line(found.__doc__)]


def _attacks() -> Iterator[list[str]]:
    from iarbench.registry import ATTACKS

    yield ["name", "its number", "what it does"]
    for name, found in _read(ATTACKS):
        numbers = [field.target.id.replace("_", " ") for field in _fields(found) if isinstance(field.target, ast.Name)]
        yield [f"{name}<number>" if numbers else name, ", ".join(numbers), _first_line(ast.get_docstring(found))]


def _tasks() -> Iterator[list[str]]:
    from iarbench.content import task_names
    from iarbench.task import Task

    yield ["name", "version", "targets", "description"]
    for name in task_names():
        spec = Task.load(name).spec
        yield [name, str(spec.version), ", ".join(spec.targets), spec.description]


def _sources() -> Iterator[list[str]]:
    from iarbench.registry import SOURCES

    yield ["name", "what it brings in"]
    yield from ([name, _first_line(ast.get_docstring(found))] for name, found in _read(SOURCES))


SECTIONS: dict[str, Callable[[], Iterator[list[str]]]] = {
    "generators": _generators,
    "detectors": _detectors,
    "attacks": _attacks,
    "tasks": _tasks,
    "sources": _sources,
}


def _read(registry: Registry) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef]]:
    """Names with the source of what they stand for, which is not imported: numpy alone takes a tenth of a second."""
    for name, target in sorted(registry.targets().items()):
        module, _, attribute = target.partition(":")
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None:
            body = ast.parse(Path(spec.origin).read_bytes()).body
            kinds = (ast.ClassDef, ast.FunctionDef)
            yield from ((name, node) for node in body if isinstance(node, kinds) and node.name == attribute)


def _fields(found: ast.ClassDef | ast.FunctionDef) -> list[ast.AnnAssign]:
    """The fields of a dataclass."""
    fields = [node for node in found.body if isinstance(node, ast.AnnAssign)]
    return [node for node in fields if "ClassVar" not in ast.unparse(node.annotation)]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
