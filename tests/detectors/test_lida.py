"""The detector `lida`: which images it keeps, and what its scores are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from toys import Toys, run, write_with_fit

from iarbench.detectors.lida import GALLERY, Lida
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.fit_batch import FitBatch
from iarbench.retrieval.encoders import load_encoder
from iarbench.retrieval.source import PACKAGED, Source
from iarbench.stats.retrieval import cosine
from iarbench.testing import check_detector, toy_images, toy_target

PIXELS = {source: toy_images(6, seed, offset) for seed, (source, offset) in enumerate([("toy", 0), ("noise", None)])}


def evidence(pixels: np.ndarray, learnt: dict[str, Tensor] | None = None) -> Evidence:
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return Evidence(toy_target(), images, learnt=learnt)


def batches(order: Sequence[int]) -> Iterator[FitBatch]:
    for place in order:
        for source, pixels in PIXELS.items():
            real = torch.tensor([source == "noise"])
            yield FitBatch(evidence(pixels[place : place + 1]), ~real, (source,), real)


def test_keeps_what_every_detector_promises() -> None:
    check_detector(Lida(k=3))
    check_detector(Lida("planes", k=3, adapt=True, epochs=2))


def test_the_packaged_encoder_is_the_default_and_another_file_is_in_the_key() -> None:
    assert (Lida().source, Lida().weights) == (Source(weights=PACKAGED), ())
    assert Lida(weights="lida.pth").weights == ("lida.pth",)


def test_the_draw_is_of_its_seed_whatever_the_order() -> None:
    learnt = [
        Lida(k=2, seed=seed).fit(list(batches(order))) for seed, order in ((0, range(6)), (0, [3, 1, 5, 0, 4, 2]))
    ]
    assert sorted(learnt[0]) == [GALLERY + "noise", GALLERY + "toy"]
    assert all(torch.equal(learnt[0][name], learnt[1][name]) for name in learnt[0])
    others = [Lida(k=2, seed=seed).fit(list(batches(range(6))))[GALLERY + "toy"] for seed in range(1, 4)]
    assert any(not torch.equal(other, learnt[0][GALLERY + "toy"]) for other in others)
    all_of_them = Lida(k=6).fit(list(batches(range(6))))
    expected = load_encoder(Source()).features(list(PIXELS["toy"]))
    assert {tuple(row) for row in all_of_them[GALLERY + "toy"].tolist()} == {tuple(row) for row in expected.tolist()}
    with pytest.raises(UserError, match="only 6; lower k"):
        Lida(k=7).fit(list(batches(range(6))))


def test_scores_are_highest_cosines_and_their_difference() -> None:
    detector = Lida(k=6)
    learnt = {name.replace("/toy", "/toy-a"): value for name, value in detector.fit(list(batches(range(6)))).items()}
    asked = toy_images(5, 9, None)
    assert toy_target().name == "toy-a"
    found = detector.score(evidence(asked, learnt))
    features = load_encoder(Source()).features(list(asked)).numpy()
    own = cosine(features, learnt[GALLERY + "toy-a"].numpy()).max(1)
    other = cosine(features, learnt[GALLERY + "noise"].numpy()).max(1)
    assert np.allclose(found["own"].numpy(), own, atol=1e-12)
    assert np.allclose(found["lida"].numpy(), own - other, atol=1e-12)
    itself = detector.score(evidence(PIXELS["toy"], learnt))
    assert itself["own"].numpy() == pytest.approx(np.ones(6), abs=1e-6)


def test_a_target_without_gallery_images_is_one_line() -> None:
    with pytest.raises(UserError, match="the gallery needs images of toy-a and of something else"):
        Lida(k=1).score(evidence(PIXELS["toy"], Lida(k=1).fit(list(batches(range(2))))))


@pytest.mark.parametrize("values", [{"k": 0}, {"epochs": 0}, {"rate": 0.0}, {"temperature": -1.0}])
def test_parameters_out_of_range_are_one_line(values: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(values))} is"):
        Lida(**values)  # type: ignore[arg-type]


def test_a_run_learns_one_gallery_for_all_targets(toy_family: Toys, tmp_path: Path) -> None:
    images = write_with_fit(tmp_path / "set")
    found = run(toy_family, tmp_path / "out", "--images", images, "--detector", "lida:k=3")
    assert found.index.get_level_values("score_name").unique().tolist() == ["lida", "own"]
    (file,) = (tmp_path / "out" / "learnt").rglob("*.safetensors")
    assert file.parent.name == "every-target"
    assert {name: len(value) for name, value in load_file(file).items()} == {
        GALLERY + source: 3 for source in ("noise", "toy-a", "toy-b")
    }
