"""Names to objects: lazy "module:attribute" strings, entry points of other packages, and "./file.py:Name"."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from iarbench.errors import UserError
from iarbench.user_code import (
    Code,
    code_of_file,
    code_of_module,
    is_file_reference,
    load_module,
    one_line_errors,
    split_reference,
)


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
        self._refused: dict[str, str] = {}

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
        if name in self._refused and name not in self._builtin:
            raise UserError(self._refused[name])
        module, _, attribute = targets[name].partition(":")
        owner = f"{self.kind} {name!r}: cannot load {targets[name]}"
        with one_line_errors(owner):
            loaded = importlib.import_module(module)
        if not hasattr(loaded, attribute):
            raise UserError(f"{owner} ({module} has no {attribute!r}); update or uninstall the package that names it")
        return getattr(loaded, attribute)

    def code(self, name: str) -> Code | None:
        """Where the code behind a name lies, None for what is built in; nothing is imported."""
        if is_file_reference(name):
            return code_of_file(split_reference(name)[0])
        if name in self._builtin:
            return None
        return code_of_module(self.targets().get(name, "").partition(":")[0])

    def is_builtin(self, name: str) -> bool:
        """Whether the name is one of ours."""
        return name in self._builtin

    def builtin(self) -> list[str]:
        """Our names, sorted."""
        return sorted(self._builtin)

    def refused(self, name: str) -> str | None:
        """Why what a package announces under this name cannot be used, None when it can; nothing is imported."""
        return self._refused.get(name) if name in self.targets() else None

    def add(self, name: str, target: str) -> None:
        """Add one name for this process; adding the same pair again changes nothing.

        Raises:
            UserError: the name already stands for something else.
        """
        known = self.targets().setdefault(name, target)
        # Two installed copies of one package announce the same target twice: that is no conflict.
        if known != target:
            raise UserError(self._two(name, known, target))

    def targets(self) -> dict[str, str]:
        """Name -> "module:attribute", nothing imported.

        An installed package cannot take one of our names; where two packages use one name, it is refused when it is
        asked for.
        """
        if self._table is None:
            self._table = dict(self._builtin)
            for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, point.value)):
                target = point.value.partition("[")[0].strip()
                known = self._table.setdefault(point.name, target)
                if known != target:
                    self._refused[point.name] = self._two(point.name, known, target)
        return self._table

    def _two(self, name: str, known: str, target: str) -> str:
        return f"two {self.kind}s are called {name!r}: {known} and {target}; rename one, or uninstall its package"


def did_you_mean(kind: str, name: str, known: Iterable[str]) -> str:
    """One line for a name that nothing answers to: the nearest known names, then all of them."""
    names = sorted(known)
    close = near(name, names)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return f"unknown {kind} {name!r}: {hint}known: {', '.join(names) or 'none'}"


def near(name: str, known: Iterable[str]) -> list[str]:
    """The one or two known names that are most like ``name``, upper case or not; [] where none is."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    return [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)]


def _load_from_file(reference: str) -> Any:
    path, name = split_reference(reference)
    module = load_module(path, reference)
    public = [name for name in vars(module) if not name.startswith("_")]
    if not name:
        raise UserError(
            f"{reference}: say what to take from the file, as in {reference}:NAME; it has {', '.join(public)}"
        )
    try:
        return getattr(module, name)
    except AttributeError:
        raise UserError(f"{reference}: {did_you_mean('name in this file', name, public)}") from None


DETECTORS = Registry(
    "detector",
    "iarbench.detectors",
    {
        "quantloss": "iarbench.detectors.quantloss:QuantLoss",
        "quantloss-searched": "iarbench.detectors.quantloss:QuantLossSearched",
        "quantloss-modes": "iarbench.detectors.quantloss:QuantLossModes",
        "quantloss-moves": "iarbench.detectors.quantloss:QuantLossMoves",
        "quantloss-reference": "iarbench.detectors.quantloss:QuantLossReference",
        "quantloss-descent": "iarbench.detectors.descent:QuantLossDescent",
        "encloss": "iarbench.detectors.encloss:EncLoss",
        "likelihood": "iarbench.detectors.likelihood:Likelihood",
        "likelihood-oracle": "iarbench.detectors.likelihood:LikelihoodOracle",
        "d3qe": "iarbench.detectors.d3qe:D3QE",
        "combined": "iarbench.detectors.combined:Combined",
        "fusion": "iarbench.detectors.fusion:Fusion",
        "reconstruction": "iarbench.detectors.reconstruction:Reconstruction",
        "aedr": "iarbench.detectors.aedr:AEDR",
        "aedr-plain": "iarbench.detectors.aedr:PlainAEDR",
        "latenttracer": "iarbench.detectors.latenttracer:LatentTracer",
        "ronan": "iarbench.detectors.ronan:Ronan",
        "lida": "iarbench.detectors.lida:Lida",
        "trivial": "iarbench.detectors.trivial:Trivial",
    },
)

ATTACKS = Registry(
    "attack",
    "iarbench.attacks",
    {
        "none": "iarbench.attack:Identity",
        "jpeg": "iarbench.attacks.jpeg:Jpeg",
        "webp": "iarbench.attacks.recompress:WebP",
        "avif": "iarbench.attacks.recompress:Avif",
        "blur": "iarbench.attacks.blur:Blur",
        "gaussblur": "iarbench.attacks.blur:GaussBlur",
        "median": "iarbench.attacks.blur:Median",
        "noise": "iarbench.attacks.noise:Noise",
        "brightness": "iarbench.attacks.enhance:Brightness",
        "contrast": "iarbench.attacks.enhance:Contrast",
        "saturation": "iarbench.attacks.enhance:Saturation",
        "sharpness": "iarbench.attacks.enhance:Sharpness",
        "hue": "iarbench.attacks.colour:Hue",
        "grey": "iarbench.attacks.colour:Grey",
        "resize": "iarbench.attacks.resample:Resize",
        "crop": "iarbench.attacks.resample:Crop",
        "flip": "iarbench.attacks.flip:Flip",
        "rotate": "iarbench.attacks.rotate:Rotate",
        "erase": "iarbench.attacks.overlay:Erase",
        "text": "iarbench.attacks.overlay:Text",
        "screenshot": "iarbench.attacks.shared:Screenshot",
        "social": "iarbench.attacks.shared:Social",
        "regenerate": "iarbench.attacks.model:Regenerate",
        "tokens": "iarbench.attacks.model:Tokens",
    },
)

SOURCES = Registry(
    "source",
    "iarbench.sources",
    {
        "folder": "iarbench.images.folder_source:import_folder",
        "parquet": "iarbench.images.parquet_source:import_parquet",
        "imagenet": "iarbench.images.imagenet_source:import_imagenet",
        "coco": "iarbench.images.coco_source:import_coco",
        "laion-pop": "iarbench.images.list_source:import_laion_pop",
        "raise-1k": "iarbench.images.list_source:import_raise_1k",
        "list": "iarbench.images.list_source:import_list",
        "laion": "iarbench.images.hub_sources:import_laion",
        "hub": "iarbench.images.hub_sources:import_hub",
    },
)
