"""Which detector a name stands for: its class, its parameters and what its scores depend on, checked before work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iarbench.alignment import ALIGN, ALIGN_VERSION, Align, align_of
from iarbench.detector import NAME, READS, Detector, tells_siblings, what_it_reads
from iarbench.errors import UserError
from iarbench.files import sha256_file
from iarbench.models import variants
from iarbench.parameters import Parameter, Value, declared_by, listed, split_parameters, typed
from iarbench.registry import DETECTORS, did_you_mean
from iarbench.user_code import Code, is_file_reference, load_module, neighbours, one_line_errors, split_reference


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One detector with its parameters, as a run uses it."""

    text: str
    """As the user wrote it."""
    kind: type[Detector]
    values: Mapping[str, Value]
    """Every parameter."""
    identity: Mapping[str, Any]
    """What its scores depend on, the images and the target apart."""
    code: Code | None
    """Where it lies; None for ours, which need no keeping from harm."""
    align: Align | None = None
    """How images are brought onto the target's grid of tokens first; None: not at all."""

    @property
    def label(self) -> str:
        """Name and changed parameters: "ronan:steps=200"."""
        return ":".join(filter(None, (self.kind.name, self.identity["parameters"])))

    @property
    def owner(self) -> str:
        """What messages call it."""
        return f"detector {self.label!r}"

    @property
    def is_ours(self) -> bool:
        """Whether it came with iarbench."""
        return self.code is None

    @property
    def through(self) -> str | None:
        """The generator through whose tokenizer it sees all images, whatever the target."""
        found: str | None = self.identity.get("through")
        return found

    @property
    def folder(self) -> Path | None:
        """From where it imports the modules beside its file."""
        return self.code.folder if self.code else None

    def make(self) -> Detector:
        """A new object. Raises UserError when it cannot be made."""
        if self.align is None:
            return self._plain()
        from iarbench.harness.align import Aligned

        return Aligned(self._plain(), self.align)

    def _plain(self) -> Detector:
        if self.code is None:
            return self.kind(**self.values)
        with one_line_errors(f"{self.owner} cannot be made"), neighbours(self.folder):
            return self.kind(**self.values)


def choose_all(texts: Sequence[str]) -> list[Choice]:
    """The detectors behind names; names that mean the same are one.

    Raises:
        UserError: as `choose`; or two detectors whose rows nobody could tell apart.
    """
    chosen: dict[str, Choice] = {}
    for choice in map(choose, dict.fromkeys(texts)):
        other = chosen.setdefault(choice.label, choice)
        if other.identity != choice.identity:
            raise UserError(
                f"{other.text} and {choice.text} are two detectors of the same name, {choice.label!r}: "
                "their results could not be told apart; rename one"
            )
    return list(chosen.values())


def choose(text: str) -> Choice:
    """The detector behind "quantloss", "ronan:steps=200,lr=0.1", "./mine.py:Mine:steps=3" or "./mine.py".

    Raises:
        UserError: an unknown name or parameter, or something that is not a sound detector.
    """
    name, given = split_parameters(text)
    code = DETECTORS.code(name)
    kind = _class(name)
    declared = _parameters(kind, text)
    owner = f"detector {name!r}"
    align = _align(kind, given.pop(ALIGN), owner) if ALIGN in given and ALIGN not in declared else None
    if unknown := next((key for key in given if key not in declared), None):
        defaults = listed({key: one.default for key, one in declared.items() if one.default is not None})
        hint = f"; with their defaults: {defaults}" if defaults else ""
        raise UserError(f"{owner}: {did_you_mean('parameter', unknown, declared)}{hint}")
    defaults_ = {key: one.default for key, one in declared.items() if one.default is not None}
    changed = {key: value for key, value in typed(declared, given, owner).items() if value != defaults_.get(key)}
    values = dict(sorted({**defaults_, **changed}.items()))
    shown = {**changed, **({ALIGN: align} if align else {})}
    identity: dict[str, Any] = {
        "detector": kind.name,
        "detector_version": kind.version,
        "parameters": listed(dict(sorted(shown.items()))),
        "all_parameters": values,
        "reads": sorted(what_it_reads(kind)),
        "tells_siblings": tells_siblings(kind),
    }
    if code is not None:
        identity["detector_code"] = code.digest
    if align:
        identity["align_version"] = ALIGN_VERSION
    choice = Choice(text, kind, values, identity, code, align)
    made = choice.make()
    identity |= _through(choice, made) | _weights(choice, made)
    return choice


def _align(kind: type[Detector], value: str, owner: str) -> Align:
    """What the parameter `align` says, for a detector that reads a tokenizer. Raises UserError otherwise."""
    if "image" in kind.reads:
        raise UserError(f"{owner} reads the image alone: there is no grid of tokens to align images to")
    return align_of(value, owner)


def _class(name: str) -> type[Detector]:
    """The class behind a name, sound as far as that can be seen."""
    found = _from_bare_file(name) if name.endswith(".py") else DETECTORS.get(name)
    if callable(found) and not isinstance(found, type):
        from iarbench.detectors.predict import detector_of

        found = detector_of(found, split_reference(name)[0].stem if is_file_reference(name) else name)
    if not (isinstance(found, type) and issubclass(found, Detector)):
        raise UserError(
            f"{name}: not a detector; it must be a class derived from iarbench.detector.Detector, or a function "
            "predict(image) or predict(image, target)"
        )
    _check(found, name)
    return found


def _from_bare_file(reference: str) -> Any:
    """What a file holds: its function `predict`, or its one detector."""
    path, _ = split_reference(reference)
    module = load_module(path, reference)
    if callable(predict := vars(module).get("predict")):
        return predict
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Detector) and value.__module__ == module.__name__
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"{reference}: it has neither a function predict nor a class derived from Detector")
    names = ", ".join(f"{reference}:{kind.__name__}" for kind in found)
    raise UserError(f"{reference}: it has {len(found)} detectors, say which: {names}")


def _check(kind: type[Detector], reference: str) -> None:
    """Raise UserError when a class breaks a rule that can be seen without scoring."""
    owner = f"{reference}: detector {kind.__name__}"
    name = getattr(kind, "name", None)
    if not isinstance(name, str) or not name:
        raise UserError(f'{owner} has no name; write name = "{kind.__name__.lower()}" in the class')
    if not NAME.fullmatch(name):
        raise UserError(f"{owner} is called {name!r}; use letters, digits, '.', '_' and '-', beginning with no sign")
    if type(kind.version) is not int or kind.version < 1:
        raise UserError(f"{owner} has version {kind.version!r}; it must be a whole number from 1")
    if strange := _not_in(kind.reads, READS):
        raise UserError(f"{owner} reads {strange}; reads must be a set out of {', '.join(READS)}")
    if "image" in kind.reads and kind.reads != {"image"}:
        raise UserError(
            f'{owner} reads {", ".join(sorted(kind.reads))}; every detector sees the image, and "image" '
            "stands for a detector that reads nothing else"
        )
    if missing := sorted(getattr(kind, "__abstractmethods__", ())):
        raise UserError(f"{owner} lacks {', '.join(missing)}; write it as iarbench.detector.Detector describes it")
    if name in DETECTORS.names() and DETECTORS.is_builtin(name) and not kind.__module__.startswith("iarbench."):
        raise UserError(f"{owner} is called {name!r}, as one of ours is; choose another name")


def _not_in(reads: object, allowed: Sequence[str]) -> str:
    """What is wrong with a set of things read, "" for nothing."""
    if not isinstance(reads, frozenset | set) or not reads:
        return repr(reads)
    return ", ".join(sorted(repr(one) for one in reads if one not in allowed))


def _parameters(kind: type[Detector], reference: str) -> dict[str, Parameter]:
    if kind.__init__ is object.__init__:
        return {}
    declared = declared_by(kind, f"detector {reference!r}")
    if missing := [name for name, one in declared.items() if one.default is None]:
        raise UserError(f"detector {reference!r}: the parameter {missing[0]!r} has no default; give it one in __init__")
    return declared


def _through(choice: Choice, made: Detector) -> dict[str, Any]:
    """The generator that it names; the object says which, since a parameter may."""
    if made.through is None:
        return {}
    if "image" in choice.kind.reads:
        raise UserError(f"{choice.owner}: it sees images through {made.through!r} and reads the image alone")
    return {"through": variants.get(made.through).name}


def _weights(choice: Choice, made: Detector) -> dict[str, Any]:
    """The digests of the files it declares; the object says which, since a parameter may name one."""
    files = made.weights
    if isinstance(files, str) or not all(isinstance(file, str | Path) for file in files):
        raise UserError(f"{choice.owner}: weights is {files!r}; it must be a tuple of file names")
    if not files:
        return {}
    folder = choice.code.file.parent if choice.code else Path()
    digests = {}
    for file in map(str, files):
        path = folder / Path(file).expanduser()
        if not path.is_file():
            raise UserError(f"{choice.owner}: there is no weight file {path}, which it declares")
        digests[file] = sha256_file(path)
    return {"detector_weights": digests}
