"""A sixth family is added by files in one folder: its YAML, its code, its checks, its weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from iarbench.checks.families import Golden, find_family
from iarbench.checks.recompute import recompute
from iarbench.cli import main
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.loading import build_tokenizer, build_transformer, family_class
from iarbench.nn.sampling import Greedy

FILES = Path(__file__).parent / "sixth_family"
NAME = "sixth-mini"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The family with weights."""
    folder = Path(shutil.copytree(FILES, tmp_path / "family", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.setenv("IARBENCH_GENERATORS", str(folder))
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    variants._all.cache_clear()
    torch.manual_seed(0)
    tokenizer, transformer = build_tokenizer(variants.get(NAME)), build_transformer(variants.get(NAME))
    with torch.no_grad():
        transformer.logits.normal_()
        tokenizer.decoder.bias.fill_(0.5)
        # An encoder that reads what its decoder paints.
        tokenizer.encoder.weight.copy_(torch.linalg.pinv(tokenizer.decoder.weight.flatten(1)).T.reshape(8, 3, 4, 4))
        tokenizer.encoder.bias.copy_(-0.5 * tokenizer.encoder.weight.sum((1, 2, 3)))
    save_file(tokenizer.state_dict(), folder / f"{NAME}-tokenizer.safetensors")
    save_file(transformer.state_dict(), folder / f"{NAME}-transformer.safetensors")
    yield folder
    variants._all.cache_clear()


def test_it_is_listed_and_makes_images(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "generators"]) == 0
    assert NAME in capsys.readouterr().out
    assert main(["generate", "--generator", NAME, "--count", "4", "--out", str(tmp_path / "made")]) == 0
    records = ImageSet.open(tmp_path / "made").read([f"{NAME}/test/{i:06}" for i in range(4)])
    assert [record.condition for record in records] == ["0", "1", "0", "1"]
    assert {(record.width, record.height, len(record.tokens or ())) for record in records} == {(16, 16, 16)}


def test_a_run_tells_its_images(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--generator", NAME, "--count", "60", "--out", str(tmp_path / "made")]) == 0
    (tmp_path / "real").mkdir()
    rng = np.random.default_rng(0)
    for number in range(60):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "real" / f"{number}.png")
    words = ["run", "--target", NAME, "--members", str(tmp_path / "made"), "--real", str(tmp_path / "real")]
    words += ["--detector", "quantloss", "--attack", "none", "--out", str(tmp_path / "run"), "--quiet"]
    capsys.readouterr()
    assert main(words) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    aurocs = [row["value"] for row in rows if row["metric"] == "auroc" and row["nonmember_set"] == "pooled"]
    assert aurocs
    assert min(aurocs) > 0.95


@pytest.fixture
def golden(folder: Path, tmp_path: Path) -> Path:
    """A golden folder whose outputs our own code has made."""
    out = tmp_path / "golden"
    out.mkdir()
    variant = variants.get(NAME)
    config = {"family": "sixth", "image_size": 16, "tokenizer": variant.tokenizer, "table": variant.transformer}
    (out / "config.json").write_text(json.dumps(config))
    (out / "io.json").write_text(json.dumps({"scalars": {}}))
    shutil.copy(folder / f"{NAME}-tokenizer.safetensors", out / "weights_tokenizer.safetensors")
    shutil.copy(folder / f"{NAME}-transformer.safetensors", out / "weights_ar.safetensors")
    inputs = {"images": torch.rand(2, 3, 16, 16), "ar_cond": torch.tensor([0, 1])}
    model = family_class(variant)(_filled(build_tokenizer(variant), out / "weights_tokenizer.safetensors"),
                                  _filled(build_transformer(variant), out / "weights_ar.safetensors"), {})  # fmt: skip
    greedy = model.tokenizer.lookup(model.sample_tokens(inputs["ar_cond"], Greedy()))
    inputs["gen_image"] = model.tokenizer.decode_clamped(greedy).detach()
    stored = recompute(Golden(config, inputs, {}, model))
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in (inputs | stored).items()}, out / "io.safetensors"
    )
    return out


def _filled(module: torch.nn.Module, path: Path) -> torch.nn.Module:
    module.load_state_dict(load_file(path))
    return module.eval()


def test_its_parity_is_checked(golden: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "parity", str(golden)]) == 0
    out = capsys.readouterr().out
    assert "16 checks, 0 over" in out
    state = torch.zeros(2, 16, 16)
    save_file({"logits": state}, golden / "weights_ar.safetensors")
    assert main(["check", "parity", str(golden), "--quiet"]) == 1
    assert "OVER gen_logprobs" in capsys.readouterr().out


def test_its_manifest_is_checked(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = [{"name": "logits", "shape": [2, 16, 16]}]
    entry = {"hyperparameters": {"classes": 2, "positions": 16, "codes": 16}, "tensors": tensors}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"family": "sixth", "files": {"table.pth": entry}}))
    assert main(["check", "manifest", str(path)]) == 0
    assert "ok   table.pth: 1 tensors, 512 parameters" in capsys.readouterr().out


def test_it_is_trained_like_any_other(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = Path(__file__).parent / "bugs" / "training_labels" / "text.parquet"
    words = ["--name", "own", "--out", str(tmp_path / "own"), "--images", str(images), "--threads", "1"]
    assert main(["train", "tokenizer", "--like", NAME, *words, "--steps", "1", "--adversarial-steps", "0"]) == 0
    description = yaml.safe_load((tmp_path / "own" / "own.yaml").read_text())
    assert description["variants"]["own"]["code"] == f"{folder / 'sixth.py'}:Sixth"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("./nowhere.py:Sixth", "there is no file"),
        ("./sixth.py:Seventh", "names no class derived from iarbench.generator.Generator"),
        ("./sixth.py", "names no class derived from iarbench.generator.Generator"),
        ("iarbench.nowhere:Sixth", "cannot import its code iarbench.nowhere:Sixth"),
        ("iarbench.generator:Sample", "names no class derived from iarbench.generator.Generator"),
    ],
)
def test_wrong_code_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, line: str
) -> None:
    path = folder / "sixth.yaml"
    path.write_text(path.read_text().replace("./sixth.py:Sixth", code))
    variants._all.cache_clear()
    assert main(["generate", "--generator", NAME, "--count", "1", "--out", str(tmp_path / "made")]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert line in error


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("dim: 8, ", "", "sixth-mini: its description lacks 'dim', which its tokenizer needs"),
        ("cell: 4", "cell: 0", "sixth-mini: no tokenizer can be built as its description says ("),
        ("positions: 16", "positions: many", "sixth-mini: no transformer can be built as its description says ("),
        ("temperature: 1.0", "temp: 1.0", "sixth-mini: sampling 'default' has 'temp', but there are: temperature"),
    ],
)
def test_a_description_that_does_not_fit_the_code_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, line: str
) -> None:
    path = folder / "sixth.yaml"
    path.write_text(path.read_text().replace(before, after))
    variants._all.cache_clear()
    assert main(["generate", "--generator", NAME, "--count", "1", "--out", str(tmp_path / "made")]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {line}")


@pytest.mark.parametrize("gone", ["ar_cond", "images"])
def test_a_golden_folder_that_lacks_something_is_one_line(
    golden: Path, capsys: pytest.CaptureFixture[str], gone: str
) -> None:
    stored = load_file(golden / "io.safetensors")
    save_file({name: tensor for name, tensor in stored.items() if name != gone}, golden / "io.safetensors")
    assert main(["check", "parity", str(golden)]) == 2
    assert capsys.readouterr().err == f"error: {golden} is not a whole golden folder: it lacks '{gone}'\n"


def test_a_family_without_checks_is_one_line(golden: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sixth_checks.py").unlink()
    assert main(["check", "parity", str(golden)]) == 2
    assert "family sixth has no checks: write " in capsys.readouterr().err
    assert callable(find_family("var")[1].recompute)
