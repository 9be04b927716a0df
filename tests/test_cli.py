from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys import Toys

from iarbench import __version__
from iarbench.cli import COMMANDS, main, parser
from iarbench.registry import ATTACKS, DETECTORS, SOURCES


def python(*args: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize(("command", "at_most"), [("--help", 2.5), ("ls", 5.0)])
def test_light_commands_import_nothing_heavy_and_are_quick(command: str, at_most: float) -> None:
    """A few times what two small libraries cost to import, measured in turn: seconds depend on the machine's load."""
    imported = python("-X", "importtime", "-m", "iarbench", command).stderr
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in imported.splitlines()}
    assert "iarbench" in modules
    assert not modules & {"torch", "datasets", "pandas", "scipy", "sklearn", "albumentations", "matplotlib"}
    pairs = [(cpu_seconds("-m", "iarbench", command), cpu_seconds("-c", LIBRARIES)) for _ in range(4)]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    assert ours < at_most * theirs


LIBRARIES = "import pydantic, yaml; pydantic.BaseModel"


def cpu_seconds(*command: str) -> float:
    """Processor time of a Python process."""
    before = os.times()
    assert python(*command).returncode == 0
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_real_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert re.search(rf"^  iarbench {command}\b", text, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_in_the_help_parse(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = re.sub(r"\\\n\s*", "", capsys.readouterr().out.partition("examples:")[2])
    lines = re.findall(r"^  iarbench (.*)$", text, re.MULTILINE)
    found = [shlex.split(re.split(r"\s{2,}(?!\s*--)| > ", line)[0]) for line in lines]
    assert found
    for words in found:
        assert parser().parse_args(words).command == words[0]


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([flag])
    assert capsys.readouterr().out == f"iarbench {__version__}\n"


def test_ls_names_everything_there_is(toy_family: Toys, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    text = capsys.readouterr().out
    for name in (*DETECTORS.names(), *ATTACKS.names(), *SOURCES.names(), "toy-a", "toy-b", "mini"):
        assert re.search(rf"^{re.escape(name)}\b", text, re.MULTILINE), name
    assert main(["ls", "generators"]) == 0
    header, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header == ["name", "family", "size", "encoders", "licence"]
    assert ["toy-a", "toy", "16", "px", "original,", "inverse", "none"] in lines


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--task", "minni"], "unknown task 'minni': did you mean 'mini'"),
        (["run", "--task", "TOYS", "--target", "toy-aa"], "unknown generator 'toy-aa': did you mean 'toy-a'"),
        (["run", "--task", "TOYS", "--detector", "quantlos"], "unknown detector 'quantlos': did you mean"),
        (["run", "--task", "TOYS", "--attack", "jpeg500"], "attack 'jpeg500'"),
        (["run", "--task", "TOYS", "--encoder", "inverted"], "command line: unknown encoder 'inverted'"),
        (["run", "--task", "TOYS", "--images", "nowhere"], "unknown image set 'nowhere'"),
        (["run", "--task", "TOYS", "--weights", "nowhere"], "--weights nowhere: there is no such folder"),
        (["report", "nowhere"], "nowhere: no run here"),
        (["attack", "--images", "nowhere", "--attack", "none", "--out", "x"], "unknown image set 'nowhere'"),
        (["images", "import", "nowhere", "--out", "x"], "unknown image set or source 'nowhere'"),
        (["images", "info", "nowhere"], "unknown image set 'nowhere'"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    toy_family: Toys, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(toy_family.task) if word == "TOYS" else word for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--batch-size", "0"], "--batch-size: '0' is not a whole number from 1"),
        (["run", "--limit", "-3"], "--limit: '-3' is not a whole number from 1"),
        (["run", "--workers", "x"], "--workers: 'x' is not a whole number from 0"),
        (["runn"], "'runn' is none of run, "),
        (["runn"], "did you mean run?; see `iarbench --help`"),
        (["run", "--detectr", "x"], "unknown option --detectr; did you mean --detector?; see `iarbench run --help`"),
        (["run", "--det", "x"], "unknown option --det; did you mean --detector or --details?"),
        (["run", "--foo=3"], "unknown option --foo; see `iarbench run --help`"),
        (["run", "mini"], "'mini' is one word too many; see `iarbench run --help`"),
        (["images", "imprt", "x"], "did you mean import?; see `iarbench images --help`"),
        (["images", "import", "x", "--out", "y", "--split-name", "z"], "unknown option --split-name; did you mean"),
        (["run", "--precision", "float3"], "'float3' is none of float32, bfloat16; did you mean float32?"),
        (["images", "info"], "the following arguments are required: SET; see `iarbench images info --help`"),
        ([], "the following arguments are required: COMMAND; see `iarbench --help`"),
    ],
)
def test_mistakes_in_options_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    ("asked", "same_as"), [(["run"], ["run"]), (["images", "import"], ["images", "import"]), ([], [])]
)
def test_help_is_a_command_as_well(asked: list[str], same_as: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for words in (["help", *asked], [*same_as, "--help"]):
        with pytest.raises(SystemExit) as exit:
            main(words)
        assert exit.value.code == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert texts[0].startswith("usage: ")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("iarbench r", {"run", "report"}),
        ("iarbench run --detec", {"--detector "}),
        ("iarbench run --detector quantloss,enc", {"quantloss,encloss "}),
        ("iarbench generate --generator var-m", {"var-mini", "var-mini-s"}),
        ("iarbench images jo", {"join "}),
    ],
)
def test_the_shell_completes_commands_options_and_names(line: str, found: set[str], tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    answer = tmp_path / "answer"
    told = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked = {**os.environ, **told, "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    assert python("-m", "iarbench", env=asked).returncode == 0
    assert set(answer.read_text().split("\n")) >= found


def test_a_reader_that_leaves_early_is_no_error() -> None:
    early = f"{sys.executable} -m iarbench ls | (exec 0<&-; sleep 0.7); exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", early], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (141, "")


def every_parser(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield of
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from every_parser(below)


@pytest.mark.parametrize("width", [80, 120])
def test_help_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for one in every_parser(parser()):
        for line in one.format_help().splitlines():
            a_command = line.startswith("  ") and "iarbench " in line and not re.search(r"\S {3,}[^ -]", line)
            assert len(line) <= width or a_command, f"{one.prog}: {line}"
