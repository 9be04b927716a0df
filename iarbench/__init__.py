"""iarbench: provenance of images made by image auto-regressive models (IARs).

From Python (docs/python.md): `run`, `read_results`, `load_target`, `load_detector`, `score`, `ImageSet`, `UserError`.
They are imported when they are first used, so that `import iarbench` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iarbench.api import Results, load_detector, load_target, read_results, run, score
    from iarbench.errors import UserError
    from iarbench.images.image_set import ImageSet

__version__ = "0.1.0"
"""The only place that states the version: pyproject.toml reads it from here."""

__all__ = ["ImageSet", "Results", "UserError", "load_detector", "load_target", "read_results", "run", "score"]

_ELSEWHERE = {"ImageSet": "iarbench.images.image_set", "UserError": "iarbench.errors"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE.get(name, "iarbench.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
