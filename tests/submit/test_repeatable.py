"""A submission's commands say nothing that only the submitter's machine has."""

from __future__ import annotations

import pytest

from iarbench.submit.repeatable import repeatable


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("iarbench run --out runs/mini --quiet", "iarbench run --out runs/mini --quiet"),
        ("iarbench run --reuse runs/a --out runs/b --reuse=/home/me/c --quiet", "iarbench run --out runs/b --quiet"),
        ("iarbench run --out '/home/me/my runs/b' --limit 9", "iarbench run --out runs/b --limit 9"),
        ("iarbench run --out=/home/me/b/", "iarbench run --out runs/b"),
        (r"iarbench run --out 'C:\me\b'", "iarbench run --out runs/b"),
        (
            "iarbench.run('mini', reuse=['a', PosixPath('/b')], out='/home/me/c', fpr=0.1)",
            "iarbench.run('mini', out='runs/c', fpr=0.1)",
        ),
        ("iarbench run --detector './my own.py:Mine' --reuse x", "iarbench run --detector './my own.py:Mine'"),
    ],
)
def test_what_only_one_machine_has_is_left_out(command: str, expected: str) -> None:
    assert repeatable(command) == expected
