"""Full-size models against the names and shapes of the released files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iarbench.checks.manifest import check_manifest

MANIFESTS = Path(__file__).parents[1] / "manifests"


@pytest.mark.parametrize("family", ["llamagen", "var", "rar", "taming", "infinity"])
def test_every_name_and_shape_fits(family: str) -> None:
    reports = list(check_manifest(MANIFESTS / f"manifest_{family}.json"))
    assert len(reports) == len(json.loads((MANIFESTS / f"manifest_{family}.json").read_text())["files"])
    assert [str(report) for report in reports if report.problems] == []


def test_parameter_counts_are_the_published_ones() -> None:
    counts = {r.file: r.parameters for r in check_manifest(MANIFESTS / "manifest_llamagen.json")}
    assert round(counts["c2i_B_256.pt"] / 1e6) == 111
    assert round(counts["c2i_XL_384.pt"] / 1e6) == 775


@pytest.mark.parametrize("change", ["shape", "missing", "extra"])
def test_a_disagreement_is_reported(change: str, tmp_path: Path) -> None:
    manifest = json.loads((MANIFESTS / "manifest_llamagen.json").read_text())
    manifest["files"] = {"vq_ds16_c2i.pt": manifest["files"]["vq_ds16_c2i.pt"]}
    tensors = manifest["files"]["vq_ds16_c2i.pt"]["tensors"]
    if change == "shape":
        tensors[0]["shape"][0] += 1
    elif change == "missing":
        del tensors[0]
    else:
        tensors.append({"name": "encoder.surprise.weight", "shape": [1], "dtype": "float32", "kind": "parameter"})
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest))
    (report,) = check_manifest(path)
    assert len(report.problems) == 1
