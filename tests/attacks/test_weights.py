"""Attacks through a tokenizer find its weights where --weights says, in every command and process."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import toys as bench
from toys import Toys

from iarbench.attack import attack_image, parse
from iarbench.cli import main
from iarbench.images.image_set import ImageSet

ATTACK = "regenerate:model=toy-a"


@pytest.fixture
def other_weights(toy_family: Toys, tmp_path: Path) -> Path:
    """A folder in which toy-a's tokenizer has the weights of toy-b."""
    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(toy_family.family / "toy-b.safetensors", folder / "toy-a.safetensors")
    return folder


def test_they_decide_pixels_and_keys_and_not_the_name(toy_family: Toys, other_weights: Path) -> None:
    plain, given, b = parse(ATTACK), parse(ATTACK, other_weights), parse("regenerate:model=toy-b")
    assert given == plain
    assert given.name == plain.name
    assert given.depends_on() == b.depends_on() != plain.depends_on()
    chain, other = parse(f"jpeg50+{ATTACK}", other_weights), parse(f"jpeg50+{ATTACK}")
    assert chain.depends_on() == {"attack_weights_2": b.depends_on()["attack_weights"]} != other.depends_on()
    assert chain.tokenizers() == ("toy-a",)
    record = next(ImageSet.open(toy_family.images).iterate())[0]
    pixels = [np.asarray(attack_image(one, record.pil(), record.image_id)) for one in (plain, given, b)]
    assert np.array_equal(pixels[1], pixels[2])
    assert not np.array_equal(pixels[0], pixels[1])


def test_a_run_and_an_attacked_set_take_them(toy_family: Toys, other_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    words = ["attack", "--images", str(toy_family.images), "--attack", ATTACK, "--weights", str(other_weights)]
    assert main([*words, "--out", str(out)]) == 0
    shutil.copy(toy_family.family / "toy-b.safetensors", other_weights / "toy-b.safetensors")
    few = ["--detector", "quantloss", "--encoder", "original", "--target", "toy-b", "--attack", ATTACK]
    weights = ["--weights", other_weights]
    here = bench.run(toy_family, tmp_path / "here", *few, *weights, "--workers", "0")
    elsewhere = bench.run(toy_family, tmp_path / "elsewhere", *few, *weights, "--workers", "1")
    plain = bench.run(toy_family, tmp_path / "plain", *few)
    of_set = bench.run(toy_family, tmp_path / "of-set", *few[:-2], "--attack", "none", "--images", str(out))
    assert here.equals(elsewhere)
    attacked = here.xs(ATTACK, level="attack")
    assert not attacked.equals(plain.xs(ATTACK, level="attack"))
    assert attacked.equals(of_set.xs("none", level="attack")[attacked.index])


def test_a_dry_run_names_the_tokenizer_that_an_attack_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    few = ["--target", "llamagen-mini", "--attack", "none,regenerate:model=var-d16"]
    assert main(["run", *few, "--dry-run"]) == 1
    out = capsys.readouterr().out
    assert "1 things are missing" in out
    assert "vae_ch160v4096z32.pth for var-d16 (tokenizer)" in out
