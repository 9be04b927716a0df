"""The part of a page that a script writes: what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iarbench.errors import UserError
from iarbench.files import write_text


@dataclass(frozen=True, slots=True)
class MarkedPart:
    """One such part, on lines of its own between the two comments."""

    page: Path
    name: str

    def read(self) -> str:
        """Its lines, without the end of the last one. Raises UserError where the page has no such part."""
        return self._parts()[1]

    def write(self, text: str) -> None:
        """Replace it; the rest of the page stays. Raises as `read` does."""
        before, _, after = self._parts()
        write_text(self.page, f"{before}{text}{after}")

    def _parts(self) -> tuple[str, str, str]:
        """All up to it, the part, and all behind it."""
        begin, end = f"<!-- {self.name}:begin -->\n", f"\n<!-- {self.name}:end -->"
        before, begins, rest = self.page.read_text(encoding="utf-8").partition(begin)
        part, ends, after = rest.partition(end)
        if not begins or not ends:
            raise UserError(f"{self.page} has no part between {begin.strip()} and {end.strip()}")
        return before + begins, part, ends + after
