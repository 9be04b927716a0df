"""The training recipes on toy sizes: they learn, they resume, and their folder becomes a generator."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from iarbench import variants
from iarbench.cli import main
from iarbench.generators.rar import RAR
from iarbench.generators.var import VARTokenizer
from iarbench.loading import load_generator, load_target
from iarbench.nn.refine import Refiner
from iarbench.training.inverse import InverseRecipe, finetune_inverse, inverse_state, stage
from iarbench.training.precision import mixed
from iarbench.training.reconstruction import ReconstructionRecipe, train_reconstruction
from iarbench.training.transformer import captions

TINY = {
    "ch": 8,
    "ch_mult": [1, 2],
    "num_res_blocks": 1,
    "z_channels": 4,
    "vocab_size": 32,
    "v_patch_nums": [1, 2, 4],
    "quant_resi": 0.5,
    "share_quant_resi": 4,
    "norm_groups": 4,
}


def pictures(count: int, size: int = 8) -> torch.Tensor:
    """Uint8 (N, 3, S, S): smooth random colour gradients."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 255, (count, 2, 2, 3)).astype(np.uint8)
    images = [np.asarray(Image.fromarray(c).resize((size, size), Image.Resampling.BILINEAR)) for c in corners]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def tokenizer() -> VARTokenizer:
    torch.manual_seed(0)
    return VARTokenizer(TINY, 8)


def error(model: VARTokenizer, pixels: torch.Tensor) -> float:
    images = pixels.float() / 255
    with torch.inference_mode():
        return (model.eval().decode(model.quantize(model.encode(images)).features) - images).square().mean().item()


def test_reconstruction_learns(tmp_path: Path) -> None:
    pixels, model = pictures(64), tokenizer()
    before = error(model, pixels)
    train_reconstruction(model, pixels, ReconstructionRecipe(steps=120, batch=16), tmp_path / "state.pt")
    assert error(model, pixels) < before / 2


def test_training_resumes_where_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, recipe = pictures(32), ReconstructionRecipe(steps=210, batch=2)
    whole = tokenizer()
    train_reconstruction(whole, pixels, recipe, tmp_path / "whole.pt")

    from iarbench.training import reconstruction

    def killed(state: object, path: Path) -> None:
        honest(state, path)
        raise KeyboardInterrupt

    honest = reconstruction.save_atomically
    monkeypatch.setattr(reconstruction, "save_atomically", killed)
    broken = tokenizer()
    with pytest.raises(KeyboardInterrupt):
        train_reconstruction(broken, pixels, recipe, tmp_path / "state.pt")
    monkeypatch.setattr(reconstruction, "save_atomically", honest)
    resumed = tokenizer()
    train_reconstruction(resumed, pixels, recipe, tmp_path / "state.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_inverse_encoder_learns_and_the_rest_stays(tmp_path: Path) -> None:
    model = tokenizer()
    train_reconstruction(model, pictures(64), ReconstructionRecipe(steps=20, batch=8), tmp_path / "tok.pt")
    torch.manual_seed(1)
    tokens = torch.randint(0, 32, (32, 21))
    with torch.inference_mode():
        images = (model.decode(model.lookup(tokens)) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    frozen = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith(("encoder.", "quant_conv."))}
    losses = finetune_inverse(model, images, tokens, InverseRecipe(epochs=12, batch=8, lr=3e-3), tmp_path / "inv.pt")
    assert losses[-1] < losses[0] / 2
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in frozen.items())


def test_augmented_finetuning_follows_the_schedule_and_is_reproducible(tmp_path: Path) -> None:
    assert [stage(epoch, 50) for epoch in (0, 4, 5, 9, 10, 29, 30, 49)] == [
        None, None, "weak", "weak", "medium", "medium", "strong", "strong",
    ]  # fmt: skip
    tokens = torch.randint(0, 32, (16, 21), generator=torch.Generator().manual_seed(1))
    results = []
    for run in ("a", "b"):
        model = tokenizer()
        with torch.inference_mode():
            images = (model.decode(model.lookup(tokens)) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        recipe = InverseRecipe(epochs=10, batch=8, augment=True)
        results.append(finetune_inverse(model, images, tokens, recipe, tmp_path / f"{run}.pt"))
    assert results[0] == results[1]


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    rows, labels = [], []
    for i, image in enumerate(pictures(40, 64)):
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue(), "path": None})
        labels.append(5 + 2 * (i % 2))
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"image": rows, "label": labels}), path)
    return path


def test_a_trained_folder_is_a_generator(parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "mine"
    common = ["--name", "mine", "--images", str(parquet), "--out", str(out), "--threads", "1"]
    assert main(["train", "tokenizer", *common, "--like", "var-mini", "--steps", "3", "--adversarial-steps", "2"]) == 0
    assert main(["train", "transformer", *common, "--steps", "2"]) == 0
    monkeypatch.setenv("IARBENCH_GENERATORS", str(out))
    variants._all.cache_clear()
    try:
        assert variants.get("mine").classes == ("5", "7")
        finetune = ["finetune", "--generator", "mine", "--out", str(out), "--count", "8", "--epochs", "1"]
        assert main([*finetune, "--threads", "1"]) == 0
        sample = load_generator("mine").sample(torch.tensor([0, 1]), [1, 2])
        assert sample.images.shape == (2, 64, 64, 3)
        assert len(load_target("mine").weights_hash) == 64
    finally:
        variants._all.cache_clear()


def test_images_without_an_image_column_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"picture": [1]}), path)
    args = ["train", "tokenizer", "--name", "mine", "--images", str(path), "--out", str(tmp_path / "out")]
    assert main(args) == 2
    assert capsys.readouterr().err == f"error: {path} has no column 'image'; it has: picture\n"


def test_rar_reads_in_random_order_first_and_in_raster_order_last() -> None:
    generator = RAR(nn.Module(), nn.Module(), {})
    ratios = []
    for progress in (0.0, 0.5, 0.625, 0.75, 1.0):
        generator.training_progress(progress)
        ratios.append(generator.random_ratio)
    assert ratios == [1.0, 1.0, 0.5, 0.0, 0.0]
    tokens = torch.zeros(200, 16, dtype=torch.int64)
    raster = torch.arange(16).expand(200, -1)
    assert torch.equal(RAR.draw_orders(tokens, 0.0), raster)
    shuffled = RAR.draw_orders(tokens, 1.0)
    assert torch.equal(shuffled.sort(dim=1).values, raster)
    assert (shuffled != raster).any(dim=1).float().mean() > 0.95


def test_corrections_shrink_the_error_that_a_frozen_encoder_leaves(tmp_path: Path) -> None:
    model = tokenizer()
    train_reconstruction(model, pictures(64), ReconstructionRecipe(steps=60, batch=16), tmp_path / "tok.pt")
    tokens = torch.randint(0, 32, (64, 21), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        images = (model.decode(model.lookup(tokens)) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    torch.manual_seed(0)
    model.refiner = Refiner({"ch": 8, "ch_mult": [1, 2], "num_res_blocks": 1, "steps": 2, "norm_groups": 4}, 4)
    finetune_inverse(model, images, tokens, InverseRecipe(epochs=20, batch=8, lr=3e-3, final=0.1), tmp_path / "inv.pt")
    with torch.inference_mode():
        seen, truth = images.permute(0, 3, 1, 2).float() / 255, model.lookup(tokens)
        first = (model.encode_native(seen * 2 - 1) - truth).square().mean()
        last = (model.encode(seen) - truth).square().mean()
    assert last < 0.85 * first
    assert {name.split(".")[0] for name in inverse_state(model)} == {"encoder", "quant_conv", "refiner"}


@pytest.mark.parametrize(("capability", "mixes"), [("AVX2", False), ("AVX512", True)])
def test_training_mixes_precisions_only_where_that_is_quick(
    monkeypatch: pytest.MonkeyPatch, capability: str, mixes: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    with mixed(torch.device("cpu")):
        assert torch.is_autocast_enabled("cpu") == mixes


def test_captions_name_the_class_in_several_ways() -> None:
    torch.manual_seed(0)
    found = set(captions(torch.tensor([1] * 50), ["lion", "alp"]))
    assert found == {"alp", "a alp", "a photo of a alp", "a picture of alp"}
    assert captions(torch.tensor([0, 1]), ["lion", "alp"], "{}") == ["lion", "alp"]
