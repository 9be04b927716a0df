"""An audit of image sets: done, told in a terminal, as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from iarbench.audit.findings import Areas, Finding, areas_of, findings_of
from iarbench.audit.look import Look, Seen, look
from iarbench.images.image_set import ImageSet
from iarbench.progress import Progress
from iarbench.text_table import aligned


@dataclass(frozen=True)
class Part:
    """The images of one source and split."""

    source: str
    split: str
    images: int
    groups: int
    classes: int
    """Conditions that occur."""
    sizes: tuple[tuple[str, int], ...]
    """Most frequent first."""
    compressions: tuple[tuple[str, int], ...]
    """Most frequent first."""


@dataclass(frozen=True)
class Audit:
    """What was found."""

    seen: Look
    areas: Areas
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """The worst of the findings: damage, leak or clean; notes count as clean."""
        levels = {finding.level for finding in self.findings}
        return next((level for level in ("damage", "leak") if level in levels), "clean")

    def of(self, level: str) -> list[Finding]:
        """The findings of one level."""
        return [finding for finding in self.findings if finding.level == level]

    def parts(self) -> list[Part]:
        """Every source and split, by name."""
        found: dict[tuple[str, str], list[Seen]] = {}
        for image in self.seen.images:
            found.setdefault((image.source, image.split), []).append(image)
        return [
            Part(
                source,
                split,
                len(images),
                len({image.group for image in images}),
                len({image.condition for image in images if image.condition}),
                tuple(Counter(image.size for image in images).most_common()),
                tuple(Counter(image.compression for image in images).most_common()),
            )
            for (source, split), images in sorted(found.items())
        ]

    def as_json(self) -> dict[str, Any]:
        """For programs: verdict, findings, parts and how far each property tells sources apart."""
        return {
            "sets": [
                {"set": name, "images": len(images), "fingerprint": images.fingerprint}
                for name, images in zip(self.seen.names, self.seen.sets, strict=True)
            ],
            "verdict": self.verdict,
            "findings": [{"level": one.level, "check": one.check, "line": one.line} for one in self.findings],
            "parts": [
                {
                    "source": part.source,
                    "split": part.split,
                    "images": part.images,
                    "groups": part.groups,
                    "classes": part.classes,
                    "sizes": dict(part.sizes),
                    "compressions": dict(part.compressions),
                }
                for part in self.parts()
            ],
            "auroc": [
                {"source": one, "other": other, "property": name, "value": value}
                for (one, other), by_name in self.areas.items()
                for name, value in by_name.items()
            ],
        }

    def lines(self, at_most: int = 5) -> list[str]:
        """For a terminal: the parts, the findings (of each level and check the first few), and the verdict."""
        rows = [["source", "split", "images", "groups", "classes", "size", "compression"]]
        for part in self.parts():
            counts = [f"{number:,}" if number else "" for number in (part.images, part.groups, part.classes)]
            rows.append([part.source, part.split, *counts, _most(part.sizes), _most(part.compressions)])
        lines = aligned(rows)
        of_kind: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.findings:
            of_kind.setdefault((finding.level, finding.check), []).append(finding)
        for (level, check), found in of_kind.items():
            lines += [f"{level}: {one.line}" for one in found[:at_most]]
            if len(found) > at_most:
                lines.append(f"{level}: and {len(found) - at_most} more about {check}")
        return [*lines, self.summary()]

    def summary(self) -> str:
        """One sentence."""
        names = {"damage": ("damaged", "damaged"), "leak": ("leak", "leaks"), "note": ("note", "notes")}
        damage, leaks, notes = (f"{(n := len(self.of(level)))} {names[level][n != 1]}" for level in names)
        found = "no damage and no leak found" if self.verdict == "clean" else f"{damage}, {leaks}"
        return f"{len(self.seen.images):,} images: {found}, {notes}"


def audit(names: Sequence[str], quiet: bool = False) -> Audit:
    """Read the sets, by name, path or hf:owner/name@revision, and find out what is wrong with them.

    Raises:
        UserError: one of them is no image set.
    """
    return audit_sets(names, [ImageSet.open(name, complete=False) for name in names], quiet)


def audit_sets(names: Sequence[str], sets: Sequence[ImageSet], quiet: bool = False) -> Audit:
    """The same for sets that are open (`complete=False`: empty cells are found, not refused)."""
    stream: Literal["stderr"] | None = None if quiet else "stderr"
    with Progress("audit", sum(map(len, sets)), stream=stream) as progress:
        seen = look(names, sets, progress.advance)
    with Progress("compare", len(seen.images), stream=stream) as progress:
        areas = areas_of(seen)
        findings = findings_of(seen, areas, progress.advance)
    return Audit(seen, areas, tuple(findings))


def _most(counts: Sequence[tuple[str, int]]) -> str:
    if not counts:
        return ""
    more = f" and {len(counts) - 1} more" if len(counts) > 1 else ""
    return counts[0][0] + more
