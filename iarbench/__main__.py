"""`python -m iarbench`."""

from __future__ import annotations

import sys

from iarbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
