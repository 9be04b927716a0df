"""A training that fails leaves everything as it was, and says what is wrong before it works."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iarbench import files
from iarbench.cli import main
from iarbench.models import variants

PICTURES = Path(__file__).parents[1] / "bugs" / "training_labels" / "text.parquet"


def train(what: str, out: Path, *more: str, images: Path | str = PICTURES) -> int:
    words = ["train", what, "--name", "m", "--images", str(images), "--out", str(out), "--steps", "1", "--threads", "1"]
    own = ["--like", "var-mini", "--adversarial-steps", "0"] if what == "tokenizer" else []
    return main([*words, *own, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer and a transformer of one step each."""
    out = tmp_path_factory.mktemp("finished")
    assert train("tokenizer", out) == train("transformer", out) == 0
    return out


@pytest.fixture
def trained(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def failed_with(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that stands at the end, after progress and notes."""
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1
    return lines[-1].removeprefix("error: ")


@pytest.mark.long
@pytest.mark.parametrize(
    ("what", "more", "message"),
    [
        ("transformer", ["--labels", "cow"], "no image is of class 'cow'; there are: cat, dog"),
        ("transformer", ["--class-names", "one"], "--class-names has 1 names for 2 classes: give one per class"),
        ("transformer", ["--labels", "dog,cat", "--lr", "2"], "no image is of class"),
        ("tokenizer", ["--like", "llamagen-mini"], "describes a generator of another architecture than llamagen-mini"),
        ("tokenizer", ["--label-column", "sort"], "there is no column 'sort'"),
        ("tokenizer", ["--device", "cuda:99"], "--device cuda:99: torch finds"),
    ],
)
def test_a_mistake_leaves_weights_description_and_checkpoints(
    trained: Path, capsys: pytest.CaptureFixture[str], what: str, more: list[str], message: str
) -> None:
    before = content(trained)
    if "--lr" in more:
        more, message = more[:2], "is of a training that differs in classes"
    else:
        more = [*more, "--restart"]
    assert train(what, trained, *more) == 2
    assert message in failed_with(capsys)
    assert content(trained) == before


def test_sizes_that_cannot_be_are_known_before_images_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iarbench.training.data.load_images", lambda *_: pytest.fail("images were read"))
    for sizes in ("{nope: 3}", "{ch: abc}", "{ch_mult: []}"):
        assert train("decoder", tmp_path / "out", "--decoder", sizes) == 2
        assert "no tokenizer can be built as its description says" in failed_with(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../m", "a/b", "..", ".hidden", "", "x" * 101, "a b", "a\nb"])
def test_a_name_that_is_none_writes_nothing_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words = ["train", "tokenizer", "--images", str(PICTURES), "--out", str(tmp_path / "out" / "deep"), "--name", name]
    assert main(words) == 2
    assert "is no name: use letters, digits, '.', '_' and '-'" in failed_with(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_description_whose_name_leads_elsewhere_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, trained: Path
) -> None:
    text = (trained / "m.yaml").read_text().replace("\n  m:", "\n  ../../m:")
    (trained / "m.yaml").write_text(text)
    monkeypatch.setenv("IARBENCH_GENERATORS", str(trained))
    variants._all.cache_clear()
    before = content(tmp_path)
    assert main(["finetune", "--generator", "../../m", "--out", str(tmp_path / "deep" / "er")]) == 2
    assert "'../../m' is no name for a generator" in failed_with(capsys)
    assert content(tmp_path) == before


@pytest.mark.parametrize("command", ["train", "finetune"])
def test_a_folder_that_cannot_be_written_is_known_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code = (
        "import sys; from iarbench.cli import main; status = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    (tmp_path / "file").touch()
    what = (
        ["tokenizer", "--name", "m", "--images", str(PICTURES)] if command == "train" else ["--generator", "var-mini"]
    )
    words = [sys.executable, "-c", code, command, *what, "--out", str(tmp_path / "file")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --out {tmp_path}/file: cannot be written (")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.long
@pytest.mark.parametrize("command", ["train", "finetune"])
def test_a_full_disk_names_the_file_and_the_same_command_ends_it(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def once_more() -> int:
        if command == "train":
            return train("tokenizer", trained, "--restart")
        pictures = ["--tokens-of", str(PICTURES), "--epochs", "1", "--threads", "1"]
        return main(["finetune", "--generator", "taming-mini", "--out", str(trained), *pictures])

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = content(trained)
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        assert once_more() == 2
    name = "m-reconstruction" if command == "train" else "taming-mini-inverse"
    assert failed_with(capsys) == f"{trained}/checkpoints/{name}.pt: No space left on device"
    after = content(trained)
    assert {name: after[name] for name in after if "checkpoints" not in name} == {
        name: before[name] for name in before if "checkpoints" not in name
    }
    assert once_more() == 0
    assert not list(trained.rglob("*.tmp"))


@pytest.fixture(autouse=True)
def _fresh() -> None:
    variants._all.cache_clear()
