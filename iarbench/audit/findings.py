"""From what was seen of image sets to what is wrong with them: damage, leaks, and what to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from iarbench.audit.look import Look, Seen, Trait
from iarbench.audit.perceptual import near_pairs
from iarbench.images.trivial import HIGH, LOW, area
from iarbench.publishing.licences import licence_of, refusal_of

Level = Literal["damage", "leak", "note"]
Areas = Mapping[tuple[str, str], Mapping[str, float]]
"""(source, other source) -> property -> AUROC in [0, 1]; 0.5: it says nothing."""

_NAMED = 4
"""Examples in one line, before the rest is only counted."""
_TREATMENT = ("file format", "compression", "JPEG quality", "image width", "image height")
"""Properties that no generator decides: they leak. In the picture itself a generator may leave traces of its own."""
_UNEVEN = 3
"""A class with so many times the images of another one of its part is worth a note."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    level: Level
    """damage: files are not as their rows say; leak: a detector could learn it in place of provenance."""
    check: str
    """What was looked for."""
    line: str
    pairs: tuple[tuple[Seen, Seen], ...] = ()
    """Images to show side by side."""


CHECKS = ("files", "duplicates", "near duplicates", "groups", "treatment", "licences", "classes")


def findings_of(seen: Look, areas: Areas, advance: Callable[[int], None] = lambda _: None) -> list[Finding]:
    """Everything that is wrong, damage first, then leaks, then notes."""
    found = [Finding("damage", "files", line) for line in seen.damage]
    found += [*_same_files(seen), *_near(seen, advance), *_groups(seen), *_separated(seen, areas)]
    found += [*_licences(seen), *_classes(seen)]
    order = ("damage", "leak", "note")
    return sorted(found, key=lambda one: order.index(one.level))


def areas_of(seen: Look) -> Areas:
    """How far every property tells sources apart: generated ones from all others; all from all where none is known."""
    pairs = [
        pair if pair[0] in seen.generated else pair[::-1]
        for pair in combinations(sorted(seen.traits), 2)
        if not seen.generated or set(pair) & seen.generated
    ]
    return {
        (one, other): {
            name: area(values, seen.traits[other][name])
            for name, values in seen.traits[one].items()
            if _varies(values, seen.traits[other][name])
        }
        for one, other in pairs
    }


def _varies(values: Sequence[Trait], others: Sequence[Trait]) -> bool:
    return len({*values, *others}) > 1


def _same_files(seen: Look) -> Iterator[Finding]:
    by_hash: dict[str, list[Seen]] = {}
    for image in seen.images:
        by_hash.setdefault(image.sha256, []).append(image)
    between: dict[tuple[str, str], list[tuple[Seen, Seen]]] = {}
    within: dict[str, list[tuple[Seen, Seen]]] = {}
    for copies in by_hash.values():
        first_of = {image.part: image for image in reversed(copies)}
        for one, other in combinations(sorted(first_of), 2):
            between.setdefault((one, other), []).append((first_of[one], first_of[other]))
        for part, images in _by_part(copies).items():
            if len(images) > 1:
                within.setdefault(part, []).append((images[0], images[1]))
    for (one, other), pairs in sorted(between.items()):
        line = f"{_count(len(pairs), 'file is', 'files are')} in {one} and in {other}, byte for byte ({_ids(pairs)})"
        yield Finding("leak", "duplicates", line, tuple(pairs))
    for part, pairs in sorted(within.items()):
        line = f"{_count(len(pairs), 'file is', 'files are')} more than once in {part} ({_ids(pairs)})"
        yield Finding("note", "duplicates", line, tuple(pairs))


def _near(seen: Look, advance: Callable[[int], None]) -> Iterator[Finding]:
    # of the same file one in every part: it is told above, and its copies look like nothing that the first does not
    once = {(image.sha256, image.part): image for image in reversed(seen.images) if image.sketch is not None}
    images = list(reversed(once.values()))
    sketches = [image.sketch for image in images if image.sketch is not None]

    def counts(i: int, j: int) -> bool:
        one, other = images[i], images[j]
        # parts of one photograph may look alike, as long as they are on the same side
        return one.sha256 != other.sha256 and (one.part != other.part or one.group != other.group)

    between: dict[tuple[str, str], list[tuple[Seen, Seen]]] = {}
    for pair in near_pairs(sketches, counts, advance):
        one, other = sorted((images[pair.first], images[pair.second]), key=lambda image: image.part)
        between.setdefault((one.part, other.part), []).append((one, other))
    for (part, another), pairs in sorted(between.items()):
        where = f"in {part} and in {another}" if part != another else f"within {part}"
        line = (
            f"{_count(len(pairs), 'pair of pictures looks', 'pairs of pictures look')} the same {where} ({_ids(pairs)})"
        )
        yield Finding("leak" if part != another else "note", "near duplicates", line, tuple(pairs))


def _groups(seen: Look) -> Iterator[Finding]:
    splits: dict[tuple[str, str], dict[str, Seen]] = {}
    for image in seen.images:
        splits.setdefault((image.source, image.group), {}).setdefault(image.split, image)
    shared: dict[tuple[str, str, str], list[tuple[Seen, Seen]]] = {}
    for (source, _), found in splits.items():
        for one, other in combinations(sorted(found), 2):
            shared.setdefault((source, one, other), []).append((found[one], found[other]))
    for (source, one, other), pairs in sorted(shared.items()):
        groups = ", ".join(image.group for image, _ in pairs[:_NAMED]) + (", ..." if len(pairs) > _NAMED else "")
        line = f"{_count(len(pairs), 'group', 'groups')} of {source} in {one} and in {other} ({groups})"
        yield Finding("leak", "groups", line, tuple(pairs))


def _separated(seen: Look, areas: Areas) -> Iterator[Finding]:
    told: dict[str, list[str]] = {}
    for (one, other), by_name in areas.items():
        for name, value in by_name.items():
            if not LOW <= value <= HIGH:
                told.setdefault(name, []).append(f"{one} from {other} (AUROC {value:.3f})")
    for name, pairs in told.items():
        more = f" and {len(pairs) - _NAMED} more pairs" if len(pairs) > _NAMED else ""
        line = f"{name} alone tells {'; '.join(pairs[:_NAMED])}{more}"
        if name in _TREATMENT:
            level: Level = "leak" if seen.generated else "note"
            yield Finding(level, "treatment", f"{line}: the sides were not treated alike; bring both to one form")
        else:
            yield Finding("note", "treatment", f"{line}: a trace of the generator, or of another treatment")


def _licences(seen: Look) -> Iterator[Finding]:
    refused: dict[str, Counter[str]] = {}
    for image in seen.images:
        licence = licence_of(image.source, image.licence)
        if reason := refusal_of(licence, image.author, image.page):
            refused.setdefault(image.source, Counter())[reason] += 1
    for source, reasons in sorted(refused.items()):
        told = "; ".join(f"{count:,} x {reason}" for reason, count in reasons.most_common(3))
        yield Finding("note", "licences", f"not to be published: {sum(reasons.values()):,} images of {source} ({told})")


def _classes(seen: Look) -> Iterator[Finding]:
    for part, images in sorted(_by_part(seen.images).items()):
        counts = Counter(image.condition for image in images if image.condition).most_common()
        if 2 <= len(counts) <= len(images) // 2 and counts[0][1] > _UNEVEN * counts[-1][1]:
            line = f"{part}: {counts[0][1]} images of {counts[0][0]!r}, {counts[-1][1]} of {counts[-1][0]!r}"
            yield Finding("note", "classes", line)


def _by_part(images: Sequence[Seen]) -> dict[str, list[Seen]]:
    parts: dict[str, list[Seen]] = {}
    for image in images:
        parts.setdefault(image.part, []).append(image)
    return parts


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _ids(pairs: Sequence[tuple[Seen, Seen]]) -> str:
    return f"the first: {pairs[0][0].image_id} and {pairs[0][1].image_id}"
