"""Our models against outputs of the official implementations, and proof that the comparison can fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from iarbench.checks import families, goldens
from iarbench.checks.parity import check_folder, compare
from iarbench.cli import main

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILIES = ["llamagen", "var", "rar", "taming", "infinity"]


def over(folder: Path) -> set[str]:
    return {line.name for line in check_folder(folder) if not line.ok}


def test_all_that_lies_in_the_golden_folder_can_be_checked() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(FAMILIES)  # the README checks tests/golden/*


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_of_the_golden_folder_is_reproduced(family: str) -> None:
    lines = list(check_folder(GOLDEN / family))
    stored = load_file(GOLDEN / family / "io.safetensors")
    inputs = {"images", "ar_cond", "optim_gen_f", "text_features", "text_lens", "tf_random_orders"}
    assert {line.name for line in lines if not line.name.startswith("finetune")} == stored.keys() - inputs
    assert [str(line) for line in lines if not line.ok] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_one_altered_weight_is_noticed(family: str, tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / family, tmp_path / family)
    state = load_file(folder / "weights_tokenizer.safetensors")
    (first,) = (name for name in state if name.startswith("encoder.conv_in") and name.endswith("weight"))
    state[first][0, 0, 1, 1] += 0.05
    save_file(state, folder / "weights_tokenizer.safetensors")
    assert "f" in over(folder)


def test_another_norm_epsilon_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    read = goldens.read_golden

    def altered(folder: Path) -> families.Golden:
        golden = read(folder)
        for block in golden.model.transformer.blocks:
            block.eps = 1e-3
        return golden

    monkeypatch.setattr("iarbench.checks.parity.read_golden", altered)
    assert {"tf_logits", "tf_logits_uncond"} <= over(GOLDEN / "var")


def test_a_constant_guidance_schedule_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from iarbench.generators.var import VAR

    honest = VAR.sample_tokens

    def constant(self, conditions, streams, cfg, trace=None):  # type: ignore[no-untyped-def]
        return honest(self, conditions, streams, cfg=cfg / 2, trace=trace)

    monkeypatch.setattr(VAR, "sample_tokens", constant)
    assert "gen_logprobs" in over(GOLDEN / "var")


def test_a_missing_or_misshapen_tensor_counts_as_over() -> None:
    assert not compare("f", torch.zeros(1, 2), torch.zeros(2, 1)).ok
    assert not compare("f", torch.full((2,), torch.nan), torch.zeros(2)).ok
    assert not compare("tokens", torch.tensor([1, 2]), torch.tensor([1, 3])).ok
    assert compare("tokens", torch.tensor([1, 3]), torch.tensor([1, 3])).ok


def test_the_tolerance_is_what_rounding_amounts_to() -> None:
    own, stored = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0003])
    assert not compare("recon_cont_twice", own, stored).ok
    assert compare("recon_cont_twice", own, stored, own.double() + 1e-4).ok
    assert not compare("recon_cont_twice", own, stored, own.double() + 1e-6).ok
    assert compare("signal_enc_loss", own, own * 1.003, own.double() * 1.001).ok
    assert not compare("signal_enc_loss", own, own * 1.005, own.double() * 1.001).ok


@pytest.mark.parametrize("family", ["taming", "var"])
def test_a_wrong_decoder_is_over_also_where_the_encoder_reads_its_images(family: str, tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / family, tmp_path / family)
    state = load_file(folder / "weights_tokenizer.safetensors")
    state["decoder.conv_out.bias"][0] += 0.01
    save_file(state, folder / "weights_tokenizer.safetensors")
    assert {"recon_cont", "recon_cont_twice"} <= over(folder)


def test_command_exits_with_1_when_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "parity", str(GOLDEN / "llamagen"), "--quiet"]) == 0
    folder = shutil.copytree(GOLDEN / "llamagen", tmp_path / "altered")
    io = load_file(folder / "io.safetensors")
    io["tf_logits"] += 1e-3
    save_file(io, folder / "io.safetensors")
    assert main(["check", "parity", str(folder), "--quiet"]) == 1
    assert "OVER tf_logits" in capsys.readouterr().out


def test_a_folder_that_is_no_golden_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "parity", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "is not a golden folder" in err
    assert err.count("\n") == 1
