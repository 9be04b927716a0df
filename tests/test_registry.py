"""Registry: lazy names, entry points, files, and one clear line for everything else."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from iarbench import registry
from iarbench.attacks.jpeg import Jpeg
from iarbench.errors import UserError
from iarbench.registry import ATTACKS, DETECTORS, SOURCES, Registry


def make() -> Registry:
    return Registry("thing", "iarbench.things", {"path": "pathlib:Path", "gone": "no_such_module:X", "odd": "json:X"})


def install(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    found = [EntryPoint(name=name, value=value, group="iarbench.things") for name, value in points]
    monkeypatch.setattr(registry, "entry_points", lambda group: found)


def test_a_name_gives_its_object() -> None:
    assert make().get("path") is Path
    assert make().names() == ["gone", "odd", "path"]
    assert ATTACKS.get("jpeg") is Jpeg


def test_every_attack_and_source_loads() -> None:
    for table in (ATTACKS, SOURCES):
        assert all(callable(table.get(name)) for name in table.names())


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match=r"^unknown thing 'Pth': did you mean 'path'\? known: gone, odd, path$"):
        make().get("Pth")
    with pytest.raises(UserError, match=r"^unknown thing 'zzz': known: gone, odd, path$"):
        make().get("zzz")
    with pytest.raises(UserError, match="did you mean 'quantloss'"):
        DETECTORS.get("QuantLos")


def test_a_target_that_does_not_load_is_named() -> None:
    with pytest.raises(
        UserError,
        match=r"^thing 'gone': cannot load no_such_module:X: it needs the package 'no_such_module'",
    ):
        make().get("gone")
    with pytest.raises(UserError, match=r"^thing 'odd': cannot load json:X \(json has no 'X'\); update"):
        make().get("odd")


def test_entry_points_add_names(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("mine", "json:loads"), ("mine", "json:loads"), ("path", "pathlib:Path"))
    things = make()
    assert things.names() == ["gone", "mine", "odd", "path"]
    assert things.get("mine").__name__ == "loads"


def test_two_packages_that_use_one_name_are_an_error_for_that_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("mine", "json:loads"), ("mine", "json:dumps"), ("good", "json:loads"))
    things = make()
    assert things.get("good").__name__ == "loads"
    with pytest.raises(UserError, match=r"^two things are called 'mine': json:dumps and json:loads; rename one"):
        things.get("mine")
    assert things.refused("mine")
    assert things.refused("good") is None


def test_a_package_cannot_take_a_name_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("path", "json:loads"))
    things = make()
    assert things.get("path") is Path
    assert things.refused("path") == (
        "two things are called 'path': pathlib:Path and json:loads; rename one, or uninstall its package"
    )


def test_an_object_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("class Mine:\n    answer = 42\n")
    assert make().get(f"{tmp_path}/mine.py:Mine").answer == 42
    monkeypatch.chdir(tmp_path)
    assert make().get("./mine.py:Mine") is make().get("mine.py:Mine")
    with pytest.raises(UserError, match=r"unknown name in this file 'Mime': did you mean 'Mine'\?"):
        make().get("./mine.py:Mime")
    with pytest.raises(UserError, match=r"^\./other\.py:Mine: there is no file "):
        make().get("./other.py:Mine")


def test_a_file_that_does_not_load_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("raise ValueError('a\\nb')\n")
    for _ in range(2):
        with pytest.raises(UserError, match=r"bad\.py:X: the file does not load: ValueError: a b \(bad\.py, line 1\)$"):
            make().get(f"{tmp_path}/bad.py:X")


def test_names_import_nothing_heavy() -> None:
    code = (
        "import sys; from iarbench.registry import ATTACKS, DETECTORS, SOURCES\n"
        "for table in (ATTACKS, DETECTORS, SOURCES): table.names()\n"
        "import iarbench.attack\n"
        "print([m for m in ('torch', 'datasets', 'pandas', 'albumentations', 'numpy', 'PIL') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
