"""Encoders of a variant beside its original one: which there are, and published differences that are added to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from iarbench.checks.goldens import read_golden
from iarbench.errors import UserError
from iarbench.models import variants
from iarbench.models.loading import add_encoder, build_tokenizer, load_tokenizer
from iarbench.models.variants import Variant, variants_of
from iarbench.models.weights import encoders, weights_hash
from iarbench.nn.checkpoint import load_released, read_state
from iarbench.task import Task

TESTS = Path(__file__).parents[1]
RELEASED = {"rar": ("rar-b", "maskgit-vqgan-imagenet-f16-256.bin"), "taming": ("taming-cin", "vqgan.ckpt")}
RAR = ("rar-b", "rar-l", "rar-xl", "rar-xxl")


def delta_of(state: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """A difference for every tensor of the module `encoder`, under its names inside it."""
    generator = torch.Generator().manual_seed(seed)
    own = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
    return {k: 0.05 * torch.randn(v.shape, generator=generator) for k, v in own.items()}


@pytest.fixture
def rar_mini() -> Variant:
    """The mini, described as its full-size siblings are."""
    full, mini = variants.get("rar-b"), variants.get("rar-mini")
    return mini.model_copy(update={"files": mini.files | {name: full.files[name] for name in ("wmar", "wmar-aug")}})


@pytest.mark.parametrize("name", [*RAR, "taming-cin"])
def test_full_size_models_have_wmars_encoders(name: str) -> None:
    variant = variants.get(name)
    assert encoders(variant) == ("original", "wmar", "wmar-aug")
    family = "taming" if name == "taming-cin" else "rar"
    names = {part: variant.files[part].name for part in ("wmar", "wmar-aug")}
    assert names == {"wmar": f"{family}_encoder_ft_noaug_delta.pth", "wmar-aug": f"{family}_encoder_ft_delta.pth"}


@pytest.mark.parametrize("family", ["rar", "taming"])
def test_names_inside_our_full_size_encoder_are_the_released_ones(family: str) -> None:
    name, file = RELEASED[family]
    manifest = json.loads((TESTS / "manifests" / f"manifest_{family}.json").read_text())["files"][file]
    released = {one["name"]: tuple(one["shape"]) for one in manifest["tensors"] if one["name"].startswith("encoder.")}
    with torch.device("meta"):
        state = build_tokenizer(variants.get(name)).state_dict()
    assert {k: tuple(v.shape) for k, v in state.items() if k.startswith("encoder.")} == released


@pytest.mark.parametrize("family", ["rar", "taming"])
def test_a_difference_is_added_to_official_weights(family: str) -> None:
    """To what the official code made, tensor by tensor: the same as a released file that holds the sums."""
    folder = TESTS / "golden" / family
    tokenizer = read_golden(folder).model.tokenizer
    released = {k: v.float() for k, v in read_state(folder / "weights_tokenizer.safetensors").items()}
    delta = delta_of(released)
    summed = {k: v + delta[k.removeprefix("encoder.")] if k.startswith("encoder.") else v for k, v in released.items()}
    wanted = read_golden(folder).model.tokenizer
    load_released(wanted, summed, "test")
    before = {k: v.clone() for k, v in tokenizer.state_dict().items()}
    add_encoder(tokenizer, delta, "encoder", "test")
    after = tokenizer.state_dict()
    assert {k for k, v in before.items() if not torch.equal(v, after[k])} == {f"encoder.{k}" for k in delta}
    images = torch.rand(2, 3, tokenizer.image_size, tokenizer.image_size)
    assert torch.equal(tokenizer.encode(images), wanted.encode(images))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_published_file_is_found_in_the_weights_folder(rar_mini: Variant, tmp_path: Path, wrapped: bool) -> None:
    plain = load_tokenizer(rar_mini).state_dict()
    delta = delta_of(plain)
    torch.save({"state_dict": delta} if wrapped else delta, tmp_path / "rar_encoder_ft_noaug_delta.pth")
    torch.save(delta_of(plain, 1), tmp_path / "rar_encoder_ft_delta.pth")
    wmar, augmented = (load_tokenizer(rar_mini, name, tmp_path).state_dict() for name in ("wmar", "wmar-aug"))
    assert torch.equal(wmar["encoder.conv_in.weight"], plain["encoder.conv_in.weight"] + delta["conv_in.weight"])
    assert not torch.equal(wmar["encoder.conv_in.weight"], augmented["encoder.conv_in.weight"])
    assert all(torch.equal(v, plain[k]) for k, v in wmar.items() if not k.startswith("encoder."))


def test_its_identity_is_that_of_the_original_and_of_the_difference(rar_mini: Variant, tmp_path: Path) -> None:
    plain = load_tokenizer(rar_mini).state_dict()
    file = tmp_path / "rar_encoder_ft_noaug_delta.pth"
    torch.save(delta_of(plain), file)
    first = weights_hash(rar_mini, "wmar", tmp_path)
    assert first != weights_hash(rar_mini, "original", tmp_path)
    torch.save(delta_of(plain, 1), file)
    second = weights_hash(rar_mini, "wmar", tmp_path)
    (tmp_path / "rar-mini-tokenizer.safetensors").write_bytes(b"another original")
    assert len({first, second, weights_hash(rar_mini, "wmar", tmp_path)}) == 3


def test_a_missing_file_is_one_line_that_says_where_it_is(rar_mini: Variant, tmp_path: Path) -> None:
    address = r"https://dl\.fbaipublicfiles\.com/wmar/finetunes/rar_encoder_ft_delta\.pth"
    with pytest.raises(UserError, match=rf"^rar-mini needs .*on no hub: download it from {address}.*--weights DIR$"):
        load_tokenizer(rar_mini, "wmar-aug", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: {f"decoder.{k}": v for k, v in d.items()}, "does not fit RARTokenizer .*missing encoder"),
        (lambda d: d | {"quant_conv.weight": torch.zeros(2)}, r"unexpected encoder\.quant_conv\.weight"),
        (lambda d: {k: v for k, v in d.items() if k != "conv_in.weight"}, r"missing encoder\.conv_in\.weight"),
        (lambda d: d | {"conv_in.weight": torch.zeros(3)}, r"encoder\.conv_in\.weight has shape \(3,\), wanted"),
        (lambda d: d | {"conv_in.weight": torch.zeros(())}, r"encoder\.conv_in\.weight has shape \(\), wanted"),
        (lambda d: d | {"conv_in.weight": d["conv_in.weight"].int()}, r"encoder\.conv_in\.weight is of int32"),
        (lambda d: d | {"conv_in.weight": d["conv_in.weight"] / 0}, "values that are not finite"),
    ],
)
def test_a_strange_difference_is_refused(rar_mini: Variant, tmp_path: Path, change: object, message: str) -> None:
    assert callable(change)
    torch.save(change(delta_of(load_tokenizer(rar_mini).state_dict())), tmp_path / "rar_encoder_ft_noaug_delta.pth")
    with pytest.raises(UserError, match=message) as caught:
        load_tokenizer(rar_mini, "wmar", tmp_path)
    assert "\n" not in str(caught.value)
    assert "rar_encoder_ft_noaug_delta.pth" in str(caught.value)


def test_a_pickle_that_would_run_code_is_not_loaded(rar_mini: Variant, tmp_path: Path) -> None:
    torch.save({"conv_in.weight": Path("x")}, tmp_path / "rar_encoder_ft_noaug_delta.pth")
    with pytest.raises(UserError, match="Python objects"):
        load_tokenizer(rar_mini, "wmar", tmp_path)


def test_descriptions_bring_encoders_of_their_own_names() -> None:
    description = {"family": "f", "code": "m:C", "image_size": 8, "tokenizer": {}, "transformer": {}}
    description |= {"sampling": {}, "licence": "", "citation": ""}
    files = {"tokenizer": {"path": "t"}, "mine.2": {"path": "e"}}
    (variant,) = variants_of(description | {"variants": {"v": {"files": files}}}, TESTS, "test")
    assert "mine.2" in variant.files
    for name in ("original", "none", "../up", "A b"):
        with pytest.raises(UserError, match=f"test, variant v: files: .*{name}.* is no name for an encoder"):
            variants_of(description | {"variants": {"v": {"files": {name: {"path": "e"}}}}}, TESTS, "test")


def test_every_encoder_that_there_is_can_be_named() -> None:
    assert variants.encoder_names() == ["original", "inverse", "inverse-aug", "wmar", "wmar-aug"]
    Task.load("mini").narrowed(encoders=["wmar-aug"])
    with pytest.raises(UserError, match=r"^command line: unknown encoder 'wmr': did you mean 'wmar'"):
        Task.load("mini").narrowed(encoders=["wmr"])
