"""Packages that only some uses need, each installed with an extra of iarbench."""

from __future__ import annotations

import importlib
from typing import Any

from iarbench.errors import UserError

EXTRA_OF = {
    "transformers": "t2i",
    "sentencepiece": "t2i",
    "argcomplete": "completion",
    "submitit": "slurm",
    "ray": "ray",
}
"""Module -> the extra in pyproject.toml that installs it."""


def optional(module: str, what: str) -> Any:
    """The module, imported. Raises UserError, with the extra to install, where it is not there; `what` needs it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"{what} needs {module}: pip install 'iarbench[{EXTRA_OF[module]}]'") from None
