"""Code that users bring: loading it from a file, telling one version of it from another, and keeping it from harm.

Code of users may print, raise, exit, draw random numbers and import the modules beside its file. None of that reaches
the rest of the program: prints go to standard error, an error becomes one line, the random state is put back, and
modules of the same name in two folders never meet.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import io
import random
import sys
import traceback
from collections.abc import Container, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from iarbench.errors import UserError

_PREFIX = "iarbench_file_"


@dataclass(frozen=True, slots=True)
class Code:
    """Where code lies that is not ours.

    ``folder``: from where its own modules are imported; ``package``: the one package of it that belongs to the code,
    None for a file of the user's, to which all modules beside it may belong.
    """

    file: Path
    folder: Path
    package: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the file and of every module of its own that it imports, directly or through others."""
        found = hashlib.sha256()
        for path in self.files:
            found.update(f"{path.relative_to(self.folder)}\0{sha256_of(path)}\n".encode())
        return found.hexdigest()

    @property
    def files(self) -> list[Path]:
        """The file and every module of its own that it imports, directly or through others, sorted."""
        return sorted(_files(self))


def sha256_of(path: Path) -> str:
    """SHA-256 of a small file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_file_reference(name: str) -> bool:
    """Whether the name has the form "path/to/file.py:Name" or "path/to/file.py"."""
    return ".py:" in name or name.endswith(".py")


def split_reference(reference: str) -> tuple[Path, str]:
    """The file, as an absolute path, and the name in it ("" without one) of "path/to/file.py:Name".

    Raises:
        UserError: there is no such file.
    """
    before, separator, name = reference.partition(".py:")
    path = Path(before + ".py" if separator else reference).expanduser().resolve()
    if not path.is_file():
        raise UserError(f"{reference}: there is no file {path}")
    return path, name


def code_of_file(path: Path) -> Code:
    """The code that starts in a file of the user's."""
    return Code(path, path.parent)


def code_of_module(name: str) -> Code | None:
    """The code of an installed module, found without importing anything; None when there is none."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin).resolve()
    folder = origin.parent.parent if origin.name == "__init__.py" else origin.parent
    inside = folder.joinpath(top, *rest)
    file = next((path for path in (inside / "__init__.py", inside.with_suffix(".py")) if path.is_file()), None)
    return Code(file, folder, top) if file else None


def load_module(path: Path, reference: str) -> ModuleType:
    """The module in a file, run once for every content that it and the modules beside it have.

    Raises:
        UserError: it does not load.
    """
    identity = hashlib.sha256(f"{path}\0{code_of_file(path).digest}".encode()).hexdigest()
    name = f"{_PREFIX}{path.stem}_{identity[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{reference}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with one_line_errors(f"{reference}: the file does not load"), neighbours(path.parent), _own_arguments(path):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def one_line_errors(owner: str) -> Iterator[None]:
    """What code of users raises, exiting included, becomes one line that starts with ``owner``; prints go to stderr.

    Running out of a GPU's memory is left as it is: a smaller batch may help.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except UserError as error:
        if str(error).startswith(owner):
            raise
        raise UserError(f"{owner}: {error}") from error
    except SystemExit as error:
        raise UserError(
            f"{owner}: it exits ({error.code}); parse arguments and call exit only under `if __name__ == '__main__':`"
        ) from error
    except ModuleNotFoundError as error:
        raise UserError(f"{owner}: it needs the package {error.name!r}, which is not installed") from error
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":
            raise
        message = " ".join(str(error).split())[:200]
        raise UserError(f"{owner}: {type(error).__name__}: {message}{_where(error)}") from error


@contextmanager
def neighbours(folder: Path | None) -> Iterator[None]:
    """Meanwhile modules in ``folder`` can be imported; afterwards they are out of sight of everybody else's code.

    None, or a folder that Python imports from anyhow, changes nothing.
    """
    if folder is None or str(folder) in sys.path:
        yield
        return
    place = str(folder)
    names = _importable(folder, folder.stat().st_mtime_ns)
    hidden = _take_out(names)
    sys.modules.update(_own_modules.get(place, {}))
    importlib.invalidate_caches()
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)
        _own_modules[place] = _take_out(names)
        sys.modules.update(hidden)


@contextmanager
def own_random_state() -> Iterator[None]:
    """Meanwhile the generators of `random`, numpy and torch start at 0; afterwards they and torch's global settings
    are as they were before.
    """
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state()
    settings = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_default_dtype(settings[0])
            torch.set_grad_enabled(settings[1])
            if torch.get_num_threads() != settings[2]:
                torch.set_num_threads(settings[2])


_own_modules: dict[str, dict[str, ModuleType]] = {}
"""Folder -> the modules in it that code of the user's has imported."""


@cache
def _importable(folder: Path, changed: int) -> frozenset[str]:
    """Names of the modules and packages directly in a folder that was last ``changed`` then."""
    found = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return frozenset(found - {"iarbench"} - sys.stdlib_module_names)


def _take_out(names: Container[str]) -> dict[str, ModuleType]:
    """Remove the modules called so, with their submodules, from those that are loaded."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}


@contextmanager
def _own_arguments(path: Path) -> Iterator[None]:
    """A file that parses arguments when it is loaded finds none; what it says before it exits is left out."""
    arguments, said = sys.argv, io.StringIO()
    sys.argv = [str(path)]
    try:
        with redirect_stdout(said), redirect_stderr(said):
            yield
    except SystemExit:
        said = io.StringIO()
        raise
    finally:
        sys.argv = arguments
        sys.stderr.write(said.getvalue())


def _where(error: BaseException) -> str:
    """ " (mine.py, line 7)" for the last line of the user's own code, "" when it is not known."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parent)
    own = [f for f in frames if not f.filename.startswith((ours, "<")) and "site-packages" not in f.filename]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def _files(code: Code) -> set[Path]:
    """The file and those of its own modules that can be reached from it by `import`."""
    found: set[Path] = set()
    waiting = [code.file]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            for name in _imported(node, file, code):
                waiting += _modules(name, code)
    return found


def _imported(node: ast.AST, file: Path, code: Code) -> list[str]:
    """Full names of the modules that a statement may import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = file.parent.relative_to(code.folder).parts
            kept = package[: len(package) - node.level + 1]
            base = ".".join([*kept, *filter(None, [base])])
        return [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called: Any = node.func
        if getattr(called, "attr", getattr(called, "id", "")) in ("import_module", "__import__"):
            return [str(node.args[0].value)]
    return []


def _modules(name: str, code: Code) -> list[Path]:
    """The files of a module and of the packages it lies in, if they belong to the code."""
    parts = name.split(".")
    if parts[0] in ("", "iarbench") or parts[0] in sys.stdlib_module_names or code.package not in (None, parts[0]):
        return []
    found = []
    for depth in range(1, len(parts) + 1):
        place = code.folder.joinpath(*parts[:depth])
        found += [path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()]
    return [path.resolve() for path in found if path.resolve().is_relative_to(code.folder)]
