"""Attack: what happens to an image in the world, as a named, repeatable function of the image alone.

A name is a registered prefix with the number of the attack's first field ("jpeg60", "crop0.8", "none"), or with fields
by name where another one has not its default ("resize:scale=0.5,filter=lanczos"); "+" chains attacks from left to right
("jpeg50+resize0.5"). Names round-trip: `parse(attack.name) == attack`.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from iarbench.errors import UserError
from iarbench.parameters import Parameter, as_text, declared_by, listed, require_value, split_parameters, typed
from iarbench.registry import ATTACKS, is_file_reference
from iarbench.user_code import one_line_errors

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


class Attack(ABC):
    """Base of all attacks. Subclasses are frozen dataclasses; fields are annotated as bool, int, float, str or Literal.

    A field without a default has to be in the name. `version` is part of the seed and of every key under which a result
    is stored: raise it whenever the pixels that the attack gives could change. A field that is added later takes as its
    default what the attack did before: then no name, seed or pixel changes.
    """

    prefix: ClassVar[str]
    version: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """Canonical name: the prefix, then the number in its shortest plain form ("crop0.8", never "crop0.80").

        Where another field than the first, which is the number, has not its default, they stand by name.
        """
        declared = _declared(type(self))
        values = {name: getattr(self, name) for name in declared}
        number = _number_of(declared)
        told = {name: value for name, value in values.items() if name == number or value != declared[name].default}
        if number and len(told) == 1:
            return f"{self.prefix}{as_text(told[number])}"
        return f"{self.prefix}:{listed(told)}" if told else self.prefix

    def __post_init__(self) -> None:
        for name, parameter in _declared(type(self)).items():
            require_value(parameter, getattr(self, name), f"attack {self.prefix!r}")

    def lacking(self) -> str | None:
        """What this installation lacks for the attack, in one line; None when it can be made."""
        return None

    def depends_on(self) -> dict[str, str]:
        """What else than its name and version decides the pixels, such as the hash of weights: a part of every key."""
        return {}

    def tokenizers(self) -> tuple[str, ...]:
        """The generators whose tokenizers the attack reads and writes with."""
        return ()

    def with_weights(self, weights_dir: Path) -> Attack:
        """The attack that looks for weight files in that folder first; itself where it needs none."""
        return self

    @abstractmethod
    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Attack one image.

        Args:
            image: PIL image, mode RGB, 8 bits a channel, any size from 1x1.
            rng: the image's own random stream; the only randomness an attack may use.

        Returns:
            A PIL image of the same mode and size; the input is left as it was.
        """


@dataclass(frozen=True)
class Identity(Attack):
    """`none`: the image as it is."""

    prefix: ClassVar[str] = "none"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image itself."""
        return image


@dataclass(frozen=True)
class Chain(Attack):
    """Two or more attacks, applied from left to right; one random stream runs through all of them."""

    steps: tuple[Attack, ...]
    prefix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        pass

    @property
    def name(self) -> str:
        """The names of the steps, joined with "+"."""
        return "+".join(step.name for step in self.steps)

    @property
    def version(self) -> int:  # type: ignore[override]
        """Sum of the steps' versions, so that raising any of them raises this."""
        return sum(step.version for step in self.steps)

    def lacking(self) -> str | None:
        """What the first step that cannot be made lacks."""
        return next(filter(None, (step.lacking() for step in self.steps)), None)

    def depends_on(self) -> dict[str, str]:
        """Of every step that depends on something, by its place."""
        found = [step.depends_on() for step in self.steps]
        return {f"{key}_{place}": value for place, one in enumerate(found, 1) for key, value in one.items()}

    def tokenizers(self) -> tuple[str, ...]:
        """Of all steps."""
        return tuple(name for step in self.steps for name in step.tokenizers())

    def with_weights(self, weights_dir: Path) -> Attack:
        """Every step with them."""
        return replace(self, steps=tuple(step.with_weights(weights_dir) for step in self.steps))

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Apply every step in turn."""
        for step in self.steps:
            image = step.apply(image, rng)
        return image


def parse(text: str, weights_dir: Path | None = None) -> Attack:
    """The attack behind a name such as "jpeg60", "none", "jpeg50+resize:scale=0.5,filter=lanczos" or
    "./mine.py:Rotate:degrees=30".

    `none` inside a chain is dropped; an attack from a file joins the registry under its own prefix for this process,
    so that its canonical name parses too. `weights_dir`: where attacks through a tokenizer look for its weights first.

    Raises:
        UserError: unknown name, a number or field missing, unknown, malformed or out of range.
    """
    steps = [step for part in text.split("+") if not isinstance(step := _parse_one(part.strip(), text), Identity)]
    if not steps:
        return Identity()
    attack = steps[0] if len(steps) == 1 else Chain(tuple(steps))
    return attack if weights_dir is None else attack.with_weights(weights_dir)


def attack_image(attack: Attack, image: Image.Image, image_id: str) -> Image.Image:
    """Attack one image with the random stream that belongs to it.

    The stream is seeded with a hash of the attack's name and version and of the image's id, so neither order, batch,
    process nor worker count can change a pixel.

    Args:
        attack: what to do.
        image: PIL image, mode RGB, 8 bits a channel.
        image_id: the image's id in its set.

    Returns:
        A PIL image, mode RGB, of the same size.

    Raises:
        UserError: the attack gave back another mode or size, or no image; or an attack of a user's failed.
    """
    import numpy as np
    from PIL import Image

    key = "\x00".join((attack.name, str(attack.version), image_id)).encode("utf-8", "surrogatepass")
    seed = int.from_bytes(hashlib.sha256(key).digest(), "big")
    rng = np.random.Generator(np.random.PCG64(seed))
    with nullcontext() if _is_ours(attack) else one_line_errors(f"attack {attack.name!r} on image {image_id}"):
        attacked = attack.apply(image, rng)
    if not isinstance(attacked, Image.Image):
        raise UserError(f"attack {attack.name!r} returned {type(attacked).__name__}; return a PIL image")
    if attacked.mode != "RGB" or attacked.size != image.size:
        raise UserError(
            f"attack {attack.name!r} turned an RGB image of {image.size} into {attacked.mode} of {attacked.size}; "
            "an attack must keep mode and size"
        )
    return attacked


def _is_ours(attack: Attack) -> bool:
    steps = attack.steps if isinstance(attack, Chain) else (attack,)
    return all(type(step).__module__.startswith("iarbench.") for step in steps)


def require_range(name: str, what: str, value: float, low: float, high: float, *, above_low: bool = False) -> None:
    """Check the number of an attack.

    Args:
        name: the attack as the user would write it ("crop0").
        what: what the number means, with its unit ("fraction of each side that is kept").
        value: the number.
        low: smallest value allowed; with `above_low` the value must be above it.
        high: largest value allowed.
        above_low: whether `low` itself is forbidden.

    Raises:
        UserError: the number is outside.
    """
    if (low < value if above_low else low <= value) and value <= high:
        return
    least, most = as_text(low), as_text(high)
    bounds = f"above {least} and at most {most}" if above_low else f"from {least} to {most}"
    raise UserError(f"attack {name!r}: the number is the {what}, {bounds}")


def _parse_one(part: str, text: str) -> Attack:
    if part.startswith("suite:"):
        raise UserError(f"{part!r} stands for several attacks: give it as `--attack suite:NAME`, or in a task")
    if not part:
        where = f" in {text!r}" if text else ""
        raise UserError(f"empty attack name{where}: write 'none' or names joined by '+', such as 'jpeg50+resize0.5'")
    name, given = split_parameters(part)
    if is_file_reference(part):
        # "./mine.py:Rotate=30" gives the number alone.
        reference, _, number = (part if name.endswith(".py") else name).partition("=")
        kind = ATTACKS.get(reference)
        _require_attack(reference, kind)
        ATTACKS.add(kind.prefix, f"{kind.__module__}:{kind.__qualname__}")
        return _build(kind, part, number, {} if name.endswith(".py") else given)
    match = re.fullmatch(r"([A-Za-z_-]*)(.*)", name, re.DOTALL)
    assert match is not None, "the pattern accepts every string"
    kind = ATTACKS.get(match[1] or part)
    _require_attack(match[1], kind)
    return _build(kind, part, match[2], given)


def _require_attack(name: str, kind: object) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Attack) and hasattr(kind, "__dataclass_fields__")):
        raise UserError(f"{name}: not an attack; it must be a frozen dataclass derived from iarbench.attack.Attack")


def _build(kind: type[Attack], part: str, number: str, given: Mapping[str, str]) -> Attack:
    owner, declared = f"attack {part!r}", _declared(kind)
    what = _number_of(declared)
    if not what and number:
        raise UserError(f"{owner}: {kind.prefix!r} takes no number")
    if what and number:
        if what in given:
            raise UserError(f"{owner}: {what} is given twice, as {number!r} and as {given[what]!r}")
        if not _PLAIN.fullmatch(number):
            raise UserError(f"{owner}: {number!r} is not a plain number ({what.replace('_', ' ')})")
        given = {what: number, **given}
    elif what and not given and declared[what].default is None:
        raise UserError(
            f"{owner}: its number is missing ({what.replace('_', ' ')}); write it as in '{kind.prefix}<number>'"
        )
    return kind(**typed(declared, given, owner))


_PLAIN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,17})?|\.[0-9]{1,17}", re.ASCII)


def _declared(kind: type[Attack]) -> dict[str, Parameter]:
    return declared_by(kind, f"attack {kind.prefix!r}")


def _number_of(declared: Mapping[str, Parameter]) -> str | None:
    """The field whose value may stand right behind the prefix: the first, if it is a number."""
    first = next(iter(declared.values()), None)
    return first.name if first is not None and first.kind in (int, float) and not first.choices else None
