"""Built-in detectors learn as users' do, beside others on shared signals; several targets can share one fit."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from toys import Toys, run, write_with_fit

from iarbench.detector import Detector
from iarbench.evidence import Evidence
from iarbench.fit_batch import FitBatch
from iarbench.registry import DETECTORS


class PerTarget(Detector):
    """The mean colour of its own images, less that of others, as a direction; its signal rests on what was learnt."""

    name: ClassVar[str] = "per-target"

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        sums, count = torch.zeros(2, 3), torch.zeros(2)
        for evidence, own in images:
            for side in (0, 1):
                sums[side] += evidence.images.mean((2, 3))[own == bool(side)].sum(0)
                count[side] += (own == bool(side)).sum()
        means = sums / count[:, None]
        return {"direction": means[1] - means[0]}

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        colours = evidence.images.mean((2, 3))
        return {"per-target": evidence.signal("along", lambda: (colours * evidence.learnt["direction"]).sum(1))}


class Once(Detector):
    """Distance to the mean colour of the target's images, out of one table for all sources."""

    name: ClassVar[str] = "once"
    reads: ClassVar[frozenset[str]] = frozenset({"image"})
    learns_once: ClassVar[bool] = True

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        colours: dict[str, list[Tensor]] = {}
        for batch in images:
            assert not batch.own.any()
            assert batch.real.tolist() == [source == "noise" for source in batch.sources]
            for colour, source in zip(batch.evidence.images.mean((2, 3)), batch.sources, strict=True):
                colours.setdefault(source, []).append(colour)
        return {source: torch.stack(found).mean(0) for source, found in colours.items()}

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        own = evidence.learnt[evidence.target.name]
        return {"once": -(evidence.images.mean((2, 3)) - own).square().sum(1)}


class Through(Detector):
    """Quantisation error through toy-b, less its mean over real images: the same for every target."""

    name: ClassVar[str] = "through"
    uses_target: ClassVar[bool] = False
    through: str | None = "toy-b"

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        errors = torch.cat([error(batch.evidence)[batch.real] for batch in images])
        return {"mean": errors.mean()[None]}

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        return {"through": evidence.learnt["mean"] - error(evidence)}


def error(evidence: Evidence) -> Tensor:
    return (evidence.f - evidence.quantized.features).square().flatten(1).mean(1)


@pytest.fixture
def built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detectors above, as if they had come with iarbench."""
    names = {kind.name: f"{__name__}:{kind.__name__}" for kind in (PerTarget, Once, Through)}
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    monkeypatch.setattr(DETECTORS, "_builtin", {**DETECTORS._builtin, **names})
    monkeypatch.setattr(DETECTORS, "_table", None)
    for kind in (PerTarget, Once, Through):
        monkeypatch.setattr(kind, "__module__", "iarbench.of_a_test")


ONE = ("--attack", "none", "--encoder", "original", "--target", "toy-a")
BOTH = ("--attack", "none", "--encoder", "original", "--target", "toy-a,toy-b", "--detector")


@pytest.mark.usefixtures("built_in")
def test_each_target_has_what_its_own_fit_gave(toy_family: Toys, tmp_path: Path) -> None:
    images = write_with_fit(tmp_path / "images")
    together = run(toy_family, tmp_path / "both", *BOTH, "per-target,quantloss", "--images", images)
    paths = sorted((tmp_path / "both" / "learnt").rglob("*.safetensors"))
    assert [path.parent.name for path in paths] == ["toy-a", "toy-b"]
    a, b = (load_file(path)["direction"] for path in paths)
    assert not torch.allclose(a, b)
    found = together.xs("per-target", level="score_name")
    alone = run(toy_family, tmp_path / "one", *ONE, "--detector", "per-target", "--images", images)
    pd.testing.assert_series_equal(
        found.xs("toy-a", level="target", drop_level=False), alone.xs("per-target", level="score_name")
    )
    assert found.groupby("target").mean().round(6).nunique() == 2


@pytest.mark.usefixtures("built_in")
def test_one_fit_serves_all_targets(toy_family: Toys, tmp_path: Path) -> None:
    images = write_with_fit(tmp_path / "images")
    found = run(toy_family, tmp_path / "both", *BOTH, "once", "--images", images)
    (path,) = (tmp_path / "both" / "learnt").rglob("*.safetensors")
    assert path.parent.name == "every-target"
    assert set(load_file(path)) == {"toy-a", "toy-b", "noise"}
    one = run(toy_family, tmp_path / "one", *ONE, "--detector", "once", "--images", images)
    (alone,) = (tmp_path / "one" / "learnt").rglob("*.safetensors")
    assert alone.name == path.name  # the same key: the targets of a run change nothing
    pd.testing.assert_series_equal(found.xs("toy-a", level="target", drop_level=False), one)


@pytest.mark.usefixtures("built_in")
def test_every_image_is_seen_through_one_generator(toy_family: Toys, tmp_path: Path) -> None:
    images = write_with_fit(tmp_path / "images")
    found = run(toy_family, tmp_path / "out", *BOTH, "through,quantloss", "--images", images).xs(
        "through", level="score_name"
    )
    assert len(list((tmp_path / "out" / "learnt").rglob("every-target/*.safetensors"))) == 1
    a, b = (found.xs(name, level="target").droplevel("detector") for name in ("toy-a", "toy-b"))
    shared = a.index.intersection(b.index)
    assert len(shared) > 50
    pd.testing.assert_series_equal(a[shared], b[shared], check_exact=True)
    ids = a.index.get_level_values("image_id")
    assert a[ids.str.startswith("toy-b")].mean() > a[ids.str.startswith("noise")].mean()


@pytest.mark.usefixtures("built_in")
@pytest.mark.parametrize("detector", ["per-target", "once", "through"])
def test_trace_uses_what_was_learnt(
    detector: str,
    toy_family: Toys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from iarbench.content import images_path
    from iarbench.harness.plan import Settings
    from iarbench.harness.trace import Picture, make_tracer
    from iarbench.images.image_set import ImageSet
    from iarbench.task import Task

    monkeypatch.setenv("IARBENCH_GENERATORS", str(toy_family.family))
    images = write_with_fit(tmp_path / "images")
    task = Task.load(str(toy_family.task)).narrowed(detectors=[detector], images=str(images))
    tracer = make_tracer(task, "original", 0.2, tmp_path / "cache", Settings(device="cpu"), None)
    (record,) = ImageSet.open(images_path(str(images))).read(["toy-a/test/00020"])
    scores = tracer.trace([Picture("one.png", record.pil())])[0].scores
    assert set(scores) == {"toy-a", "toy-b"}
    found = run(toy_family, tmp_path / "out", *BOTH, detector, "--images", images)
    for name, score in scores.items():
        stored = found.xs((name, "toy-a/test/00020"), level=("target", "image_id"))
        assert stored.tolist() == pytest.approx([score], abs=1e-6)
