"""Sources that know where their images are before they read one, so that several processes can each read some."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator

from iarbench.images.importing import FoundImage


class Places(ABC, Iterable[FoundImage]):
    """The places of a source, from 0, with at most one image at each; what cannot be read goes to its report."""

    @abstractmethod
    def __len__(self) -> int:
        """How many places there are."""

    @abstractmethod
    def span(self, start: int, stop: int) -> Iterator[FoundImage]:
        """The images at the places from `start` to before `stop`, in order. Spans side by side give what one over all
        of them gives, in the images and in the lines of the report.
        """

    @abstractmethod
    def names(self) -> Iterable[str]:
        """What the places rest on, such as the names of files: the same names, the same places."""

    def __iter__(self) -> Iterator[FoundImage]:
        return self.span(0, len(self))

    def digest(self) -> str:
        """SHA-256 of `names`, in hexadecimal."""
        whole = hashlib.sha256()
        for name in self.names():
            whole.update(name.encode("utf-8", "surrogateescape") + b"\0")
        return whole.hexdigest()


class Changed(Places):
    """The images of other places, each of them changed."""

    def __init__(self, places: Places, change: Callable[[FoundImage], FoundImage]) -> None:
        self._places, self._change = places, change

    def __len__(self) -> int:
        return len(self._places)

    def span(self, start: int, stop: int) -> Iterator[FoundImage]:
        return map(self._change, self._places.span(start, stop))

    def names(self) -> Iterable[str]:
        return self._places.names()
