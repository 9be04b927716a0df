"""Generator descriptions and weight files: found by name, verified, and explained when missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from iarbench.checks.families import find_family
from iarbench.errors import UserError
from iarbench.models import variants
from iarbench.models.loading import build_tokenizer, build_transformer, load_target
from iarbench.models.variants import read_family
from iarbench.models.weights import encoders, locate, weights_hash
from iarbench.nn.checkpoint import load_released, read_state


@pytest.mark.parametrize("name", variants.names())
def test_every_variant_builds(name: str) -> None:
    variant = variants.get(name)
    assert callable(find_family(variant.family)[1].released_parts)
    assert "default" in variant.sampling
    assert {"tokenizer", "transformer"} <= variant.files.keys()
    with torch.device("meta"):
        assert build_tokenizer(variant).image_size == variant.image_size
        build_transformer(variant)


@pytest.mark.parametrize("name", [n for n in variants.names() if "mini" in n])
def test_packaged_weights_are_small_and_verified(name: str) -> None:
    variant = variants.get(name)
    paths = {part: locate(variant, part) for part in variant.files}
    assert set(encoders(variant)) == {"original", "inverse", "inverse-aug"}
    assert round((paths["tokenizer"].stat().st_size + paths["transformer"].stat().st_size) / 1e6, 1) <= 8.5
    assert {file.sha256 is not None for file in variant.files.values()} == {True}


def test_a_damaged_packaged_file_is_refused(tmp_path: Path) -> None:
    variant = variants.get("llamagen-mini")
    for file in variant.files.values():
        (tmp_path / file.name).write_bytes(b"damaged")
    moved = variant.model_copy(update={"folder": tmp_path})
    with pytest.raises(UserError, match="SHA-256 differs"):
        locate(moved, "tokenizer")


def test_weights_hash_tells_encoders_targets_and_files_apart(tmp_path: Path) -> None:
    mini = variants.get("llamagen-mini")
    hashes = {weights_hash(variants.get(n), e) for n in ("llamagen-mini", "var-mini") for e in encoders(mini)}
    assert len(hashes) == 6
    name = mini.files["tokenizer"].name
    (tmp_path / name).write_bytes(locate(mini, "tokenizer").read_bytes() + b"\0")
    assert weights_hash(mini, "original", tmp_path) not in hashes


def test_an_inverse_encoder_replaces_the_encoder_alone() -> None:
    plain, inverse = (load_target("llamagen-mini", encoder).tokenizer for encoder in ("original", "inverse"))
    changed = {k for k, v in plain.state_dict().items() if not torch.equal(v, inverse.state_dict()[k])}
    assert changed
    assert all(key.startswith("encoder.") for key in changed)


def test_unknown_names_are_explained() -> None:
    with pytest.raises(UserError, match="llamagen-mini"):
        variants.get("llamagen-mimi")
    with pytest.raises(UserError, match="original"):
        load_target("llamagen-mini", "inverted")


def test_weights_on_no_hub_name_their_page() -> None:
    with pytest.raises(UserError, match=r"vqgan\.ckpt \(0\.9 GB\).*heibox.*--weights"):
        locate(variants.get("taming-cin"), "tokenizer")


def test_an_unreachable_hub_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    with pytest.raises(UserError) as caught:
        locate(variants.get("var-d16"), "transformer")
    assert "var_d16.pth (1.2 GB)" in str(caught.value)
    assert "FoundationVision/var" in str(caught.value)
    assert "\n" not in str(caught.value)
    (tmp_path / "var_d16.pth").write_bytes(b"local")
    assert locate(variants.get("var-d16"), "transformer", tmp_path) == tmp_path / "var_d16.pth"


def test_a_wrong_key_in_a_description_names_file_variant_and_key(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("family: var\ncode: a:B\nvariants:\n  x: {image_sise: 64}\n")
    with pytest.raises(UserError, match=r"x\.yaml, variant x: .*"):
        read_family(path)


def test_code_in_a_weight_file_never_runs(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "exploded",))  # type: ignore[return-value]

    torch.save({"model": Bomb()}, tmp_path / "weights.pt")
    with pytest.raises(UserError, match="cannot read weights"):
        read_state(tmp_path / "weights.pt", ["model"])
    assert not (tmp_path / "exploded").exists()


def test_a_file_that_does_not_fit_says_how(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(variants.get("llamagen-mini"))
    state = {k: v for k, v in tokenizer.state_dict().items() if k != "quant_conv.bias"}
    state["quant_conv.weight"] = torch.zeros(3, 3)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"2 tensors, e\.g\. missing quant_conv\.bias; quant_conv\.weight has shape"):
        load_released(tokenizer, read_state(tmp_path / "w.safetensors"), "w.safetensors")
