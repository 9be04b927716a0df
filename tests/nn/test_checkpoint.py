"""Weight files of every wrong kind are one line that says what they are, wherever weights load."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import Toys

from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.models import variants
from iarbench.models.loading import load_tokenizer
from iarbench.nn.checkpoint import read_state

BUGS = Path(__file__).parents[1] / "bugs" / "weight_files"

KINDS = {
    "empty.pth": "is empty: download or copy the weights again",
    "lfs.pth": "is a Git LFS pointer, not the weights: run `git lfs pull`, or download the file itself",
    "list.pth": "holds a list, not weights: expected a state dict, names to tensors",
    "tensor.pth": "holds a Tensor, not weights: expected a state dict, names to tensors",
    "text.pth": "holds a str, not weights: expected a state dict, names to tensors",
    "none.pth": "holds nothing (None), not weights: expected a state dict, names to tensors",
    "namespace.pth": (
        "holds Python objects (argparse.Namespace) beside its tensors, which are never loaded, since that could run "
        "code: save its state dict alone, with torch.save or as safetensors"
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_weight_file(name: str) -> None:
    with pytest.raises(UserError) as error:
        read_state(BUGS / name)
    assert str(error.value) == f"{BUGS / name} {KINDS[name]}"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"<!DOCTYPE html><html>", "is a web page, not weights"),
        (b"hello", "it is damaged, or no safetensors or PyTorch file"),
        (b"PK\x03\x04 cut off", "it is damaged, or no safetensors or PyTorch file"),
        (b"\x10\0\0\0\0\0\0\0{cut off", "it is damaged, or no safetensors or PyTorch file"),
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_what_no_loader_reads(tmp_path: Path, suffix: str, content: bytes, line: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_state(path)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_is_read_as_what_it_is_whatever_its_name(tmp_path: Path) -> None:
    state = {"a": torch.ones(2)}
    save_file(state, tmp_path / "a.pth")
    torch.save(state, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        assert torch.equal(read_state(tmp_path / name)["a"], state["a"])


def test_an_empty_state_is_one_line(tmp_path: Path) -> None:
    torch.save({"model": {"step": 3}}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"holds no tensors under \['model'\]: is it the right file\?"):
        read_state(tmp_path / "a.pth", ["model"])


@pytest.fixture
def own_weights(tmp_path: Path) -> Path:
    """--weights folder with a file for toy-a's tokenizer still to be put in."""
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights" / "toy-a-tokenizer.safetensors"


def run(toys: Toys, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that `run` says about the weights."""
    words = ["run", "--task", str(toys.task), "--target", "toy-a", "--encoder", "original", "--limit", "1", "--quiet"]
    assert main([*words, "--out", str(folder.parent / "out"), "--weights", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("name", KINDS)
def test_a_run_says_it_in_one_line(
    toy_family: Toys, own_weights: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    own_weights.write_bytes((BUGS / name).read_bytes())
    assert run(toy_family, own_weights.parent, capsys) == f"error: {own_weights} {KINDS[name]}"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"offset": torch.tensor(float("nan"))}, "values that are not finite in 1 of 2 tensors, e.g. offset"),
        ({"encoder.gain": torch.tensor(float("inf"))}, "values that are not finite in 1 of 2 tensors"),
        ({"offset": torch.ones(3)}, "does not fit ToyTokenizer (1 tensors, e.g. offset has shape (3,), wanted ())"),
        ({"offset": torch.tensor(1)}, "e.g. offset is of int64, wanted floating-point numbers"),
        ({"more": torch.ones(1)}, "unexpected more"),
    ],
)
def test_a_run_refuses_weights_that_do_not_fit(
    toy_family: Toys, own_weights: Path, capsys: pytest.CaptureFixture[str], change: dict[str, torch.Tensor], line: str
) -> None:
    good = load_file(toy_family.family / "toy-a.safetensors")
    save_file({**good, **change}, own_weights)
    assert line in run(toy_family, own_weights.parent, capsys)


def test_nan_weights_of_a_real_model_are_one_line(tmp_path: Path) -> None:
    variant = variants.get("var-mini")
    state = load_file(variant.folder / str(variant.files["tokenizer"].path))
    path = tmp_path / "var-mini-tokenizer.safetensors"
    save_file({name: tensor * float("nan") for name, tensor in state.items()}, path)
    with pytest.raises(UserError, match=r"holds values that are not finite in \d+ of \d+ tensors"):
        load_tokenizer(variant, weights_dir=tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        "generate --generator llamagen-mini --count 1 --out {0}/made --weights {0}/none",
        "finetune --generator llamagen-mini --count 1 --out {0}/made --weights {0}/none",
        "run --out {0}/made --weights {0}/none",
        "trace {0}/picture.png --weights {0}/none",
    ],
)
def test_a_weights_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert main(words.format(tmp_path).split()) == 2
    assert capsys.readouterr().err == f"error: --weights {tmp_path}/none: there is no such folder\n"
    assert list(tmp_path.iterdir()) == []
