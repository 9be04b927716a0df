"""Whatever is given to a command, or has happened to a file: one line, exit status 1 or 2, and no traceback."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import Toys

from iarbench.cli import COMMANDS, main, parser
from iarbench.models import variants

VALUES = ("", "nope", "-1", "nan", "../x", "file", "folder", "{a: [", "hub:", "\u2603,,")
"""What every option is given."""

BASES = {
    "run": "run --task toys.yaml --target toy-a --detector quantloss --attack none --limit 1 --device gpu --out o",
    "status": "status folder",
    "report": "report folder",
    "trace": "trace file --device gpu",
    "attack": "attack --images folder --attack none --out o",
    "generate": "generate --generator toy-a --count 1 --device gpu --out o",
    "train": "train tokenizer --name m --images folder --device gpu --out o",
    "finetune": "finetune --generator toy-a --device gpu --out o",
    "images import": "images import folder --out o",
    "images join": "images join folder folder --out o",
    "images verify": "images verify folder",
    "images info": "images info folder",
    "gallery build": "gallery build folder --device gpu --out o",
    "gallery query": "gallery query file file",
    "gallery add": "gallery add file file --name x",
    "gallery evaluate": "gallery evaluate folder --device gpu",
    "check": "check detector nope",
    "ls": "ls",
    "plot": "plot folder --out o",
    "board build": "board build --out o --rows file",
    "board hub-files": "board hub-files --out o --dataset a/b --rows file",
    "submit": "submit folder --board o",
    "verify": "verify nope --board folder",
    "audit": "audit folder",
    "compare": "compare folder folder",
    "new": "new detector",
    "publish": "publish folder --repo a/b --dry-run",
    "images lock": "images lock folder --out o",
    "images pull": "images pull hf:a/b@c --out o",
}
"""A command that is right but for one thing, so that nothing heavy ever begins."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    (root / "file").write_text("text")
    (root / "folder").mkdir()
    return root


def actions(command: str) -> list[argparse.Action]:
    """The options of a command, or of one of its actions."""
    found: argparse.ArgumentParser = parser()
    for word in command.split():
        (below,) = [one for one in found._actions if isinstance(one, argparse._SubParsersAction)]
        found = below.choices[word]
    return [one for one in found._actions if one.option_strings and one.dest != "help"]


def says_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    status, (_, err) = main(words), capsys.readouterr()
    assert status in (0, 1, 2), words
    assert "Traceback" not in err
    if status == 2:
        said = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(said) == 1, (words, err)
        assert said[0] == err.splitlines()[-1], (words, err)


@pytest.mark.long
@pytest.mark.parametrize("command", BASES)
def test_any_value_of_any_option(
    command: str, workplace: Path, toy_family: Toys, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    shutil.copy(toy_family.task, workplace / "toys.yaml")
    monkeypatch.setenv("IARBENCH_CACHE", str(workplace / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = sorted(workplace.parent.iterdir())
    for action in actions(command):
        for value in VALUES:
            given = [f"{action.option_strings[-1]}={value}"] if action.nargs != 0 else [action.option_strings[-1]]
            says_one_line([*BASES[command].split(), *given], capsys)
            if action.nargs == 0:
                break
    assert sorted(workplace.parent.iterdir()) == before, "something was written elsewhere"


@pytest.mark.long
@given(
    words=st.lists(
        st.sampled_from(["--out", "--limit", "--json", "--help", "-x", "--", "=", "--task=", *VALUES]), max_size=5
    )
)
@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_words(
    words: list[str], workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    for command in ("report", "ls", "images", "nothing", *words[:1]):
        if {"--help", "-h"} & set(words):
            continue  # prints and exits
        says_one_line([command, *words], capsys)


def damaged(path: Path) -> Iterator[str]:
    """The file with one thing after the other wrong; afterwards as it was."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    for what, data in {
        "empty": b"",
        "half": whole[:middle],
        "another": b"something else\n",
        "flipped": whole[:middle] + bytes([whole[middle] ^ 16]) + whole[middle + 1 :],
        "zeros": bytes(len(whole)),
    }.items():
        path.write_bytes(data)
        yield what
    path.write_bytes(whole)


READERS = {
    "images": (
        "images info SET",
        "images verify SET",
        "attack --images SET --attack none --out NEW",
        "run TASK --out NEW",
    ),
    "weights": ("run TASK --out NEW", "generate --generator toy-a --count 1 --device cpu --out NEW"),
    "description": ("ls generators", "run TASK --out NEW"),
    "task": ("run TASK --out NEW", "run TASK --out NEW --dry-run"),
}
"""Kind of file -> commands that read it."""


@pytest.mark.long
@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_one_line(
    kind: str, toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = {
        "images": min(toy_family.images.glob("*.parquet")),
        "weights": min(toy_family.family.glob("*.safetensors")),
        "description": min(toy_family.family.glob("*.yaml")),
        "task": toy_family.task,
    }[kind]
    monkeypatch.chdir(tmp_path)
    whole = path.read_bytes()
    run = f"--task {toy_family.task} --target toy-a --detector quantloss --attack none --limit 1 --device cpu --quiet"
    for number, what in enumerate(damaged(path)):
        for place, line in enumerate(READERS[kind]):
            variants._all.cache_clear()
            places = {"TASK": run, "SET": str(toy_family.images), "NEW": f"new-{number}-{place}"}
            words = " ".join(places.get(word, word) for word in line.split()).split()
            says_one_line(words, capsys)
            assert not list(tmp_path.rglob("*.tmp")), (what, line)
    assert path.read_bytes() == whole
    variants._all.cache_clear()


def test_every_command_has_a_base() -> None:
    assert {base.split()[0] for base in BASES} == set(COMMANDS)
