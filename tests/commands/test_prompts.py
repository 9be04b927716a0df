"""Prompts from a text file or from the captions of an image set."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from iarbench.commands.generate import _conditions
from iarbench.errors import UserError
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.testing import toy_records


def test_the_captions_of_an_image_set_are_prompts(tmp_path: Path) -> None:
    infinity = variants.get("infinity-mini")
    captions = ["a lion on grass", "", " a pizza\n"]
    records = toy_records(3, "coco", "test", seed=0)
    ImageSet.write(
        (replace(one, condition=text) for one, text in zip(records, captions, strict=True)), tmp_path / "set"
    )
    assert _conditions(Namespace(prompts=tmp_path / "set"), infinity) == ["a lion on grass", "a pizza"]
    (tmp_path / "lines.txt").write_text("one\n\n two \n")
    assert _conditions(Namespace(prompts=tmp_path / "lines.txt"), infinity) == ["one", "two"]
    ImageSet.write(toy_records(1, "coco", "test", seed=0), tmp_path / "bare")
    with pytest.raises(UserError, match="bare holds no prompt: write one per line"):
        _conditions(Namespace(prompts=tmp_path / "bare"), infinity)
    with pytest.raises(UserError, match="--prompts nowhere: there is no such file"):
        _conditions(Namespace(prompts=Path("nowhere")), infinity)
