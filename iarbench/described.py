"""What the names of a registry stand for, read from the source and imported nowhere: for lists of what there is.

A package that is broken or gone is listed with the reason.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from iarbench.registry import Registry
from iarbench.user_code import Code, code_of_module


@dataclass(frozen=True, slots=True)
class Described:
    """One name and the source of its class or function; ``broken`` says why there is none, "" otherwise."""

    name: str
    broken: str = ""
    source: ast.ClassDef | ast.FunctionDef | None = None
    classes: Mapping[str, ast.ClassDef] = field(default_factory=dict)
    """The other classes of its file."""

    @property
    def brief(self) -> str:
        """The first line of its docstring."""
        text = ast.get_docstring(self.source) if self.source is not None else None
        return (text or "").strip().partition("\n")[0]

    def value(self, name: str, default: str) -> str:
        """What its class, or one in the same file that it derives from, says a field is."""
        for one in self._lineage():
            for node in one.body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                    return ast.unparse(node.value) if getattr(node, "value", None) else default  # type: ignore[attr-defined]
        return default

    def parameters(self) -> list[str]:
        """The arguments of its ``__init__`` with their defaults: "steps=200"."""
        for one in self._lineage():
            for node in one.body:
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    return _arguments(node)
        return []

    def has_method(self, name: str) -> bool:
        """Whether its class, or one in the same file that it derives from, has a method of this name."""
        return any(
            isinstance(node, ast.FunctionDef) and node.name == name for one in self._lineage() for node in one.body
        )

    def fields(self) -> list[str]:
        """The fields of a dataclass with their defaults, those that it inherits first: "filter=lanczos"."""
        bodies = [one.body for one in reversed([*self._lineage()])]
        found = [node for body in bodies for node in body if isinstance(node, ast.AnnAssign)]
        fields = [node for node in found if "ClassVar" not in ast.unparse(node.annotation)]
        named = {node.target.id: node.value for node in fields if isinstance(node.target, ast.Name)}
        return [_field(name, default) for name, default in named.items()]

    def _lineage(self) -> Iterator[ast.ClassDef]:
        waiting = [self.source]
        while waiting:
            one = waiting.pop(0)
            if isinstance(one, ast.ClassDef):
                yield one
                waiting += [self.classes.get(ast.unparse(base)) for base in one.bases]


def described(registry: Registry) -> list[Described]:
    """Every name of a registry, sorted; what a package announces under one of our names comes right after ours."""
    found = []
    for name, target in sorted(registry.targets().items()):
        refused = registry.refused(name)
        if refused is None or registry.is_builtin(name):
            found.append(_describe(name, target))
        if refused is not None:
            found.append(Described(name, refused))
    return found


def _describe(name: str, target: str) -> Described:
    module, _, attribute = target.partition(":")
    code = code_of_module(module)
    if code is None:
        return Described(name, f"there is no module {module}; update or uninstall the package that names it")
    try:
        body = _parsed(code.file, code.file.stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError) as error:
        return Described(name, f"{code.file}: {' '.join(str(error).split())}")
    if missing := _missing_package(body, code):
        return Described(name, f"{module} needs the package {missing!r}, which is not installed")
    kinds = (ast.ClassDef, ast.FunctionDef)
    sources = {node.name: node for node in body if isinstance(node, kinds)}
    if attribute not in sources and attribute not in _bound(body):
        return Described(name, f"{module} has no {attribute!r}; update or uninstall the package that names it")
    classes = {key: node for key, node in sources.items() if isinstance(node, ast.ClassDef)}
    return Described(name, source=sources.get(attribute), classes=classes)


@lru_cache(maxsize=8)  # names of one file follow each other
def _parsed(file: Path, changed: int) -> list[ast.stmt]:
    """The statements of a file that was last ``changed`` then."""
    return ast.parse(file.read_bytes()).body


def _bound(body: list[ast.stmt]) -> set[str]:
    """Names that the statements of a module may bind, those inside `if` and `try` included; all of them for `*`."""
    found: set[str] = set()
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
    return found


def _missing_package(body: list[ast.stmt], code: Code) -> str | None:
    """A package that a module imports as it loads and that is not there; conditional imports are not looked at."""
    for node in body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        for name in (full.partition(".")[0] for full in names):
            if name not in sys.modules and name != code.package and importlib.util.find_spec(name) is None:
                return name
    return None


def _field(name: str, default: ast.expr | None) -> str:
    if default is None:
        return name
    word = default.value if isinstance(default, ast.Constant) else None
    return f"{name}={word if isinstance(word, str) else ast.unparse(default)}"


def _arguments(node: ast.FunctionDef) -> list[str]:
    plain, named = node.args.args[1:], node.args.kwonlyargs
    defaults = [None] * (len(plain) - len(node.args.defaults)) + list(node.args.defaults) if plain else []
    pairs = [*zip(plain, defaults, strict=False), *zip(named, node.args.kw_defaults, strict=True)]
    return [f"{one.arg}={ast.unparse(default)}" if default is not None else one.arg for one, default in pairs]
