"""Names to objects: lazy "module:attribute" strings, entry points of other packages, and "./file.py:Name"."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from iarbench.errors import UserError


class Registry:
    """One table of names for one kind of thing; nothing is imported before `get` asks for it.

    Args:
        kind: what the names stand for, in the singular ("attack"); used in messages.
        group: the entry-point group through which other packages add names ("iarbench.attacks").
        builtin: name -> "module:attribute".
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)
        self._table: dict[str, str] | None = None

    def names(self) -> list[str]:
        """Every known name, sorted: the built-in ones and those of installed packages."""
        return sorted(self.targets())

    def get(self, name: str) -> Any:
        """The object behind a name, or behind "path/to/file.py:Name".

        Raises:
            UserError: unknown name (with the nearest known one), or the object cannot be loaded.
        """
        if is_file_reference(name):
            return _load_from_file(name)
        targets = self.targets()
        if name not in targets:
            raise UserError(did_you_mean(self.kind, name, targets))
        module, _, attribute = targets[name].partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{self.kind} {name!r}: cannot load {targets[name]} ({_oneline(error)})") from error

    def add(self, name: str, target: str) -> None:
        """Add one name for this process; adding the same pair again changes nothing.

        Raises:
            UserError: the name already stands for something else.
        """
        known = self.targets().setdefault(name, target)
        # Two installed copies of one package announce the same target twice: that is no conflict.
        if known != target:
            raise UserError(
                f"two {self.kind}s are called {name!r}: {known} and {target}; rename one, or uninstall its package"
            )

    def targets(self) -> dict[str, str]:
        """Name -> "module:attribute", nothing imported."""
        if self._table is None:
            self._table = dict(self._builtin)
            for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, point.value)):
                self.add(point.name, point.value.partition("[")[0].strip())
        return self._table


def is_file_reference(name: str) -> bool:
    """Whether the name has the form "path/to/file.py:Name"."""
    return ".py:" in name


def did_you_mean(kind: str, name: str, known: Iterable[str]) -> str:
    """One line for a name that nothing answers to: the nearest known names, then all of them."""
    names = sorted(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)]
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return f"unknown {kind} {name!r}: {hint}known: {', '.join(names) or 'none'}"


def _load_from_file(reference: str) -> Any:
    path_text, _, attribute = reference.rpartition(":")
    path = Path(path_text).expanduser().resolve()
    if not path.is_file():
        raise UserError(f"{reference}: there is no file {path}")
    module = _execute(path, reference)
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise UserError(f"{reference}: {did_you_mean('name in this file', attribute, public)}") from None


def _execute(path: Path, reference: str) -> ModuleType:
    # The name depends on the path alone, so that objects of the module can be pickled to forked workers.
    name = f"iarbench_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{reference}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code may raise anything
        del sys.modules[name]
        raise UserError(f"{reference}: the file does not load ({type(error).__name__}: {_oneline(error)})") from error
    return module


def _oneline(error: BaseException) -> str:
    return " ".join(str(error).split())


DETECTORS = Registry(
    "detector",
    "iarbench.detectors",
    {
        "quantloss": "iarbench.detectors.quantloss:QuantLoss",
        "quantloss-modes": "iarbench.detectors.quantloss:QuantLossModes",
        "quantloss-moves": "iarbench.detectors.quantloss:QuantLossMoves",
        "quantloss-reference": "iarbench.detectors.quantloss:QuantLossReference",
        "quantloss-descent": "iarbench.detectors.descent:QuantLossDescent",
        "encloss": "iarbench.detectors.encloss:EncLoss",
        "combined": "iarbench.detectors.combined:Combined",
        "reconstruction": "iarbench.detectors.reconstruction:Reconstruction",
    },
)

ATTACKS = Registry(
    "attack",
    "iarbench.attacks",
    {
        "none": "iarbench.attack:Identity",
        "jpeg": "iarbench.attacks.jpeg:Jpeg",
        "blur": "iarbench.attacks.blur:Blur",
        "noise": "iarbench.attacks.noise:Noise",
        "brightness": "iarbench.attacks.enhance:Brightness",
        "contrast": "iarbench.attacks.enhance:Contrast",
        "saturation": "iarbench.attacks.enhance:Saturation",
        "resize": "iarbench.attacks.resample:Resize",
        "crop": "iarbench.attacks.resample:Crop",
    },
)

SOURCES = Registry(
    "source",
    "iarbench.sources",
    {
        "folder": "iarbench.images.sources:import_folder",
        "parquet": "iarbench.images.sources:import_parquet",
        "imagenet": "iarbench.images.hub_sources:import_imagenet",
        "coco": "iarbench.images.hub_sources:import_coco",
        "laion": "iarbench.images.hub_sources:import_laion",
        "hub": "iarbench.images.hub_sources:import_hub",
    },
)
