from __future__ import annotations

from pathlib import Path

import pytest

from iarbench import content
from iarbench.errors import UserError
from iarbench.task import Task


def test_every_packaged_task_loads_under_its_own_name() -> None:
    assert "mini" in content.task_names()
    for name in content.task_names():
        assert Task.load(name).spec.name == name


def test_a_path_wins_where_it_ends_in_yaml(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("")
    assert content.task_path(str(mine)) == mine
    with pytest.raises(UserError, match=r"other.yaml: there is no such file.*mini"):
        content.task_path(str(tmp_path / "other.yaml"))


def test_unknown_names_say_what_is_near() -> None:
    with pytest.raises(UserError, match="unknown task 'minni': did you mean 'mini'"):
        content.task_path("minni")
    with pytest.raises(UserError, match=r"unknown image set 'no-such-set'.*hf:owner/name@revision"):
        content.images_path("no-such-set")


def test_a_path_is_an_image_set(tmp_path: Path) -> None:
    assert content.images_path(str(tmp_path)) == tmp_path


def test_the_hub_refusing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(*args: object, **options: object) -> str:
        assert args == ("owner/name",)
        assert options["revision"] == "v2"
        raise OSError("no\nnetwork")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(UserError, match=r"hf:owner/name@v2: cannot be fetched.*OSError: no network"):
        content.images_path("hf:owner/name@v2")
