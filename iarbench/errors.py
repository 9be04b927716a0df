"""The one exception that means "the input is wrong, not the program"."""

from __future__ import annotations

from typing import ClassVar


class UserError(Exception):
    """A mistake in what the user gave; its message is one line: what was given, what is allowed, what to do.

    The command line prints it without a traceback and exits with its status.
    """

    status: ClassVar[int] = 2
