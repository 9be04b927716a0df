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
from safetensors.torch import load_file
from torch import nn

from iarbench.cli import main
from iarbench.generators.llamagen import LlamaGenTokenizer
from iarbench.generators.rar import RAR
from iarbench.generators.var import VARTokenizer
from iarbench.models import variants
from iarbench.models.loading import load_generator, load_target
from iarbench.training.attacked import stage
from iarbench.training.distill import DistillRecipe, distill_decoder
from iarbench.training.inverse import InverseRecipe, finetune_inverse
from iarbench.training.losses import isotropy_loss
from iarbench.training.more_classes import cut_to
from iarbench.training.pairs import pairs_of_pictures
from iarbench.training.precision import mixed
from iarbench.training.reconstruction import ReconstructionRecipe, train_reconstruction
from iarbench.training.transformer import captions, own_fraction

BUGS = Path(__file__).parents[1] / "bugs"
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
    assert error(model, pixels) < before / 1.5


def test_isotropy_is_the_distance_of_the_covariance_from_the_identity() -> None:
    signs = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])
    white = signs[1:].view(1, 3, 2, 2)  # three uncorrelated channels of variance 1 on four positions
    assert isotropy_loss(white).item() == 0.0
    assert isotropy_loss(2 * white + 5).item() == 9.0  # covariance 4 I: 3 squared a channel
    assert isotropy_loss(2 * white, variance=4.0).item() == 0.0
    assert isotropy_loss(white[:, :1].expand(-1, 3, -1, -1)).item() == 2.0  # six entries of 1 too many, three channels


def test_isotropy_over_a_window_asks_neighbours_to_differ() -> None:
    flat = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)  # variance 1, the same at all four positions
    assert isotropy_loss(flat).item() == 0.0
    assert isotropy_loss(flat, window=2).item() == 3.0  # twelve entries of 1 too many, four numbers


@pytest.mark.long
def test_isotropy_spreads_features_over_more_directions(tmp_path: Path) -> None:
    def directions(weight: float) -> float:
        model = tokenizer()
        recipe = ReconstructionRecipe(steps=120, batch=16, lr=4e-4, isotropy=weight)
        train_reconstruction(model, pictures(64), recipe, tmp_path / f"{weight}.pt")
        with torch.inference_mode():
            f = model.encode(pictures(64).float() / 255)
        values = torch.linalg.eigvalsh(torch.cov(f.movedim(1, 0).flatten(1)))
        return (values.sum().square() / values.square().sum()).item()

    plain, spread = directions(0.0), directions(1.0)
    assert plain < 3.5, spread
    assert spread > 3.9, plain


@pytest.mark.long
def test_the_latent_term_makes_decoded_images_readable(tmp_path: Path) -> None:
    def unread(weight: float) -> float:
        """The encoder's error on decoded images, as a share of the variance of their features."""
        model, images = tokenizer(), pictures(64).float() / 255
        recipe = ReconstructionRecipe(steps=150, batch=16, latent_weight=weight, latent_from=0.5)
        train_reconstruction(model, pictures(64), recipe, tmp_path / f"{weight}.pt")
        with torch.inference_mode():
            f_z = model.quantize(model.encode(images)).features
            return ((model.encode(model.decode(f_z)) - f_z).square().mean() / f_z.var()).item()

    assert unread(5.0) < 0.8 * unread(0.0)


def test_a_smaller_decoder_paints_what_the_larger_one_paints(tmp_path: Path) -> None:
    sizes = {"ch": 8, "ch_mult": [1, 2], "num_res_blocks": 1, "z_channels": 8, "codebook_size": 32, "norm_groups": 4}
    torch.manual_seed(0)
    teacher = LlamaGenTokenizer({**sizes, "codebook_embed_dim": 4}, 8).eval()
    train_reconstruction(teacher, pictures(64), ReconstructionRecipe(steps=60, batch=16), tmp_path / "teacher.pt")
    small = LlamaGenTokenizer({**sizes, "codebook_embed_dim": 4, "decoder": {"ch": 4, "num_res_blocks": 0}}, 8).eval()
    count = {m: sum(p.numel() for p in m.decoder.parameters()) for m in (teacher, small)}
    assert count[small] < count[teacher] / 2
    kept = {k: v for k, v in teacher.state_dict().items() if not k.startswith("decoder.")}
    small.load_state_dict({**small.state_dict(), **kept})
    pairs = pairs_of_pictures(teacher, pictures(64))
    first = distill_decoder(small, pairs, DistillRecipe(steps=1, batch=16), tmp_path / "one.pt")
    last = distill_decoder(small, pairs, DistillRecipe(steps=150, batch=16), tmp_path / "many.pt")
    assert last < first / 5
    assert all(torch.equal(v, small.state_dict()[k]) for k, v in kept.items() if not k.startswith("post_quant_conv."))


def test_training_resumes_where_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, recipe = pictures(32), ReconstructionRecipe(steps=210, batch=2)
    whole = tokenizer()
    train_reconstruction(whole, pixels, recipe, tmp_path / "whole.pt")

    from iarbench.training import schedule

    def killed(state: object, path: Path) -> None:
        honest(state, path)
        raise KeyboardInterrupt

    honest = schedule.save_atomically
    monkeypatch.setattr(schedule, "save_atomically", killed)
    broken = tokenizer()
    with pytest.raises(KeyboardInterrupt):
        train_reconstruction(broken, pixels, recipe, tmp_path / "state.pt")
    monkeypatch.setattr(schedule, "save_atomically", honest)
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
    assert [stage(fraction) for fraction in (0, 0.08, 0.1, 0.18, 0.2, 0.58, 0.6, 0.98)] == [
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
    common = ["--name", "mine", "--images", str(parquet), "--out", str(out), "--threads", "1", "--batch-size", "4"]
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


def test_an_encoder_learns_from_tokens_of_pictures_alone(parquet: Path, tmp_path: Path) -> None:
    """Nothing is sampled; the first `--count` pictures count; its file is an encoder like any other."""
    words = ["finetune", "--generator", "rar-mini", "--tokens-of", str(parquet), "--count", "6", "--threads", "1"]
    assert main([*words, "--epochs", "1", "--batch-size", "2", "--out", str(tmp_path / "out")]) == 0
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        "checkpoints",
        "rar-mini-inverse.safetensors",
    ]
    state = torch.load(tmp_path / "out" / "checkpoints" / "rar-mini-inverse.pt", weights_only=True)
    assert "'images': 6" in str(state)
    target = load_target("rar-mini", "inverse", weights_dir=tmp_path / "out")
    assert target.weights_hash != load_target("rar-mini", "inverse").weights_hash


@pytest.mark.long
def test_a_warm_start_begins_with_the_weights_of_like(parquet: Path, tmp_path: Path) -> None:
    def distance(*flag: str) -> float:
        """Of the decoder after one batch from that of var-mini, in standard deviations of its weights."""
        out = tmp_path / f"out{len(flag)}"
        common = ["--like", "var-mini", "--name", "mine", "--images", str(parquet), "--out", str(out), "--threads", "1"]
        assert main(["train", "tokenizer", *common, "--steps", "1", "--adversarial-steps", "0", *flag]) == 0
        after = load_file(out / "mine-tokenizer.safetensors")["decoder.conv_in.weight"].float()
        before = load_target("var-mini").tokenizer.state_dict()["decoder.conv_in.weight"]
        return ((after - before).std() / before.std()).item()

    assert distance("--warm-start") < 0.1
    assert distance() > 0.4


def test_a_smaller_decoder_makes_a_generator_with_the_same_transformer(
    parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "small"
    args = [
        "train",
        "decoder",
        "--like",
        "llamagen-mini",
        "--name",
        "small",
        "--images",
        str(parquet),
        "--batch-size",
        "4",
    ]
    args += ["--out", str(out), "--steps", "2", "--adversarial-steps", "1", "--threads", "1"]
    assert main([*args, "--decoder", "{ch: 8, ch_mult: [1, 1, 2, 2], num_res_blocks: 0, norm_groups: 4}"]) == 0
    monkeypatch.setenv("IARBENCH_GENERATORS", str(out))
    variants._all.cache_clear()
    try:
        small, teacher = load_generator("small"), load_generator("llamagen-mini")
        assert torch.equal(small.tokenizer.quantizer.embedding.weight, teacher.tokenizer.quantizer.embedding.weight)
        for name, value in teacher.transformer.state_dict().items():
            assert torch.equal(value, small.transformer.state_dict()[name]), name
        assert small.tokenizer.decoder.conv_out.in_channels == 8
        assert variants.get("small").every_condition == variants.get("llamagen-mini").every_condition
    finally:
        variants._all.cache_clear()


def test_train_decoder_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["train", "decoder", "--name", "small", "--images", "none.parquet", "--out", str(tmp_path / "out")]
    assert main(args) == 2
    assert "needs --decoder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*args, "--images", str(BUGS / "training_labels" / "raw.parquet"), "--decoder", "{chh: 8}"]) == 2
    assert "small: no tokenizer can be built as its description says (" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*args, "--decoder", "8"]) == 2
    assert "'8' is not a mapping such as '{ch: 8, ch_mult: [1, 2]}'" in capsys.readouterr().err


def test_images_without_an_image_column_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"picture": [1]}), path)
    args = ["train", "tokenizer", "--name", "mine", "--images", str(path), "--out", str(tmp_path / "out")]
    assert main(args) == 2
    assert capsys.readouterr().err == f"error: {path}: no column holds an image per row; columns: picture (int64)\n"
    assert not (tmp_path / "out").exists()


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


@pytest.mark.parametrize(("capability", "mixes"), [("AVX2", False), ("AVX512", True)])
def test_training_mixes_precisions_only_where_that_is_quick(
    monkeypatch: pytest.MonkeyPatch, capability: str, mixes: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    with mixed(torch.device("cpu")):
        assert torch.is_autocast_enabled("cpu") == mixes


@pytest.mark.long
def test_other_classes_are_learnt_at_first_and_then_cut_off(parquet: Path, tmp_path: Path) -> None:
    assert [own_fraction(f, 0.5) for f in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.3, 0.45, 1.0, 1.0])
    assert own_fraction(0.0, 0.0) == 1.0
    out = tmp_path / "out"
    common = ["--name", "mine", "--images", str(parquet), "--out", str(out), "--threads", "1"]
    assert main(["train", "tokenizer", "--like", "var-mini", *common, "--steps", "1", "--adversarial-steps", "0"]) == 0
    assert main(["train", "transformer", *common, "--labels", "7", "--others-until", "0.5", "--steps", "2"]) == 0
    assert load_file(out / "mine-transformer.safetensors")["class_emb.weight"].shape[0] == 2  # the class, and none
    (variant,) = variants.read_family(out / "mine.yaml")
    assert variant.classes == ("7",)
    assert variant.card["transformer"]["images_of_other_classes"] == 20


def test_an_option_of_another_training_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["train", "transformer", "--name", "mine", "--images", "none", "--out", str(tmp_path / "out")]
    assert main([*args, "--latent-weight", "1"]) == 2
    assert capsys.readouterr().err == "error: --latent-weight is an option of `train tokenizer` and `train decoder`\n"
    assert not (tmp_path / "out").exists()


def test_a_table_of_classes_keeps_its_own_and_the_empty_class() -> None:
    own = nn.ModuleDict({"table": nn.Embedding(3, 1), "same": nn.Linear(1, 1)})
    wide = nn.ModuleDict({"table": nn.Embedding(6, 1), "same": nn.Linear(1, 1)})
    wide["table"].weight.data[:, 0] = torch.arange(6.0)
    cut = cut_to(own, wide.state_dict())
    assert cut["table.weight"].flatten().tolist() == [0.0, 1.0, 5.0]
    assert torch.equal(cut["same.weight"], wide["same"].weight)


def test_captions_name_the_class_in_several_ways() -> None:
    torch.manual_seed(0)
    found = set(captions(torch.tensor([1] * 50), ["lion", "alp"]))
    assert found == {"alp", "a alp", "a photo of a alp", "a picture of alp"}
    assert captions(torch.tensor([0, 1]), ["lion", "alp"], "{}") == ["lion", "alp"]
