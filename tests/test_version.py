"""The version is stated once, and the citation file is one that readers of it accept."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_pyproject_takes_the_version_from_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "iarbench.__version__"}


def test_the_citation_names_software_and_paper_and_repeats_no_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert "version" not in citation
    assert citation["license"] == "Apache-2.0"
    paper = citation["preferred-citation"]
    assert paper["authors"][0]["family-names"] == "Zhao"
    assert paper["url"] == "https://arxiv.org/abs/2606.28386"
