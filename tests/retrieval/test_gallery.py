"""Drawing, building, storing, extending and asking a gallery, in Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.retrieval.adapt import Recipe
from iarbench.retrieval.draw import draw, sides
from iarbench.retrieval.encoders import Encoder, load_encoder
from iarbench.retrieval.gallery import Gallery, entry_of
from iarbench.retrieval.source import Source
from iarbench.testing import toy_images


def picture(step: int, seed: int) -> np.ndarray:
    """Noise on multiples of `step`: what such pictures share lies in their low bits alone."""
    rng = np.random.default_rng([step, seed])
    return (rng.integers(0, 256 // step, (32, 32, 3)) * step).astype(np.uint8)


STEPS = {"fine": 1, "coarse": 2, "photos": 4}


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import io

    folder = tmp_path_factory.mktemp("retrieval")

    def records():
        for source, step in STEPS.items():
            for split, first in (("fit", 0), ("test", 100)):
                for number in range(6):
                    file = io.BytesIO()
                    Image.fromarray(picture(step, first + number)).save(file, "PNG")
                    image_id = f"{source}/{split}/{number}"
                    yield ImageRecord.make(file.getvalue(), image_id=image_id, source=source, split=split)

    ImageSet.write(records(), folder / "set")
    return folder / "set"


def index(count: int, groups: int, source: str = "a") -> pd.DataFrame:
    ids = [f"{source}{number}" for number in range(count)]
    return pd.DataFrame({"source": source, "image_id": ids, "group": [f"g{n % groups}" for n in range(count)]})


def test_a_draw_is_of_its_seed_and_nests() -> None:
    rows = pd.concat([index(20, 20), index(20, 20, "b")])
    small, large = draw(rows, 3, 0), draw(rows, 7, 0)
    assert list(small) == ["a", "b"]
    assert all(large[source][:3] == small[source] for source in small)
    assert draw(rows.sample(frac=1, random_state=1), 3, 0) == small
    assert draw(index(20, 20), 3, 0)["a"] == small["a"]
    assert draw(rows, 3, 1) != small


def test_a_draw_takes_one_image_of_a_group_while_it_can() -> None:
    rows = index(12, 4)
    group = dict(zip(rows["image_id"], rows["group"], strict=True))
    for seed in range(5):
        assert len({group[image_id] for image_id in draw(rows, 4, seed)["a"]}) == 4
        assert len(set(draw(rows, 6, seed)["a"])) == 6
    with pytest.raises(UserError, match="a has only 12"):
        draw(rows, 13, 0)


def test_sides_are_known_or_named() -> None:
    assert sides(["var-mini", "flickr", "x"], ["flickr"], ["x"]) == {"flickr": True, "var-mini": False, "x": False}
    with pytest.raises(UserError, match="--real flickr if its images are real"):
        sides(["var-mini", "flickr"], [], [])
    with pytest.raises(UserError, match="no images of 'flicker' here"):
        sides(["var-mini", "flickr"], ["flicker"], [])
    with pytest.raises(UserError, match="cannot be both"):
        sides(["x"], ["x"], ["x"])


def make(recipe: Recipe | None = None, encoder: Encoder | None = None) -> tuple[Gallery, list[np.ndarray]]:
    pixels = [picture(step, seed) for step in STEPS.values() for seed in range(2)]
    labels = [label for label in STEPS for _ in range(2)]
    entries = [
        entry_of(f"{label}/{n}", label, label == "photos", image)
        for n, (label, image) in enumerate(zip(labels, pixels, strict=True))
    ]
    return Gallery.build(encoder or load_encoder(Source()), entries, pixels, recipe), pixels


def test_an_image_of_the_gallery_finds_itself() -> None:
    gallery, pixels = make()
    for place, matches in enumerate(gallery.query(pixels)):
        assert matches[0].image_id == gallery.entries[place].image_id
        assert matches[0].similarity == pytest.approx(1, abs=1e-6)
        assert sorted(match.label for match in matches) == sorted(STEPS)
        assert [match.similarity for match in matches] == sorted((m.similarity for m in matches), reverse=True)
    real = gallery.realness(pixels)
    assert real is not None
    assert all(-1 <= value <= 1 for value in real)


@pytest.mark.parametrize("recipe", [None, Recipe(epochs=2)])
def test_a_stored_gallery_answers_the_same(recipe: Recipe | None, tmp_path: Path) -> None:
    gallery, _ = make(recipe)
    gallery.save(tmp_path / "g")
    again = Gallery.load(tmp_path / "g")
    asked = [picture(step, 50) for step in STEPS.values()]
    assert again.entries == gallery.entries
    assert again.adapted == recipe
    assert torch.equal(again.features, gallery.features)
    assert again.query(asked) == gallery.query(asked)
    assert again.realness(asked) == gallery.realness(asked)


def test_adding_trains_nothing_and_refuses_what_is_there(tmp_path: Path) -> None:
    gallery, pixels = make(Recipe(epochs=1))
    new = picture(8, 0)
    more = gallery.with_images([entry_of("new", "eighths", False, new)], [new])
    assert more.encoder is gallery.encoder
    assert torch.equal(more.features[:6], gallery.features)
    assert more.query([new])[0][0].label == "eighths"
    with pytest.raises(UserError, match="in the gallery already, as fine/0 of fine"):
        gallery.with_images([entry_of("again", "fine", False, pixels[0])], pixels[:1])
    with pytest.raises(UserError, match="knows photos as real"):
        gallery.with_images([entry_of("new", "photos", False, new)], [new])


def test_files_that_are_no_gallery_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no such gallery"):
        Gallery.load(tmp_path / "none")
    (tmp_path / "text").write_text("x")
    with pytest.raises(UserError, match="is no gallery"):
        Gallery.load(tmp_path / "text")
    gallery, _ = make()
    gallery.save(tmp_path / "g")
    with torch.no_grad():
        gallery.encoder.network.conv1.weight.add_(1)  # type: ignore[union-attr, operator]
    monkeypatch.setattr("iarbench.retrieval.gallery.load_encoder", lambda source: gallery.encoder)
    with pytest.raises(UserError, match="other weights"):
        Gallery.load(tmp_path / "g")


def test_build_add_query_end_to_end(image_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "g")
    names = ["--real", "photos", "--generated", "fine,coarse"]
    build = ["gallery", "build", str(image_set), "--k", "3", "--out", out, *names]
    assert main(build) == 0
    assert "9 images of 3 classes (coarse, fine, photos)" in capsys.readouterr().out
    assert main(build) == 2
    assert "is there already" in capsys.readouterr().err
    Image.fromarray(new := picture(8, 0)).save(tmp_path / "new.png")
    Image.fromarray(picture(8, 1)).save(tmp_path / "asked.png")
    assert main(["gallery", "add", out, str(tmp_path / "new.png"), "--name", "eighths"]) == 0
    assert "10 in all" in capsys.readouterr().out
    paths = [str(tmp_path / "new.png"), str(tmp_path / "asked.png"), str(tmp_path / "none.png")]
    assert main(["gallery", "query", out, *paths, "--json"]) == 1
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert "none.png" in printed.err
    answers = [json.loads(line) for line in printed.out.splitlines()]
    assert [answer["answer"] for answer in answers] == ["eighths", "eighths"]
    matches = Gallery.load(Path(out)).query([new])[0]
    assert [one["label"] for one in answers[0]["classes"]] == [match.label for match in matches]
    assert main(["gallery", "query", out, paths[0]]) == 0
    assert "eighths" in capsys.readouterr().out
    assert main(["gallery", "add", out, paths[2], "--name", "x"]) == 1
    assert len(Gallery.load(Path(out)).entries) == 10


def test_a_source_that_nobody_named_is_one_line(
    image_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gallery", "build", str(image_set), "--out", str(tmp_path / "g")]) == 2
    assert main(["gallery", "build", str(image_set), "--out", str(tmp_path / "g"), "--weights", "no.pth"]) == 2
    assert main(["gallery", "build", str(image_set), "--out", str(tmp_path / "g"), "--split", "train"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert [
        part in line for part, line in zip(("--generated coarse", "no weight file", "--split"), errors, strict=True)
    ]


def test_evaluate_end_to_end(image_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gallery", "evaluate", str(image_set), "--real", "photos", "--generated", "fine,coarse", "--quiet"]
    words += ["--k", "1,2", "--draws", "2", "--episodes", "5", "--adapt", "both", "--epochs", "1"]
    assert main([*words, "--attack", "none,jpeg50", "--out", str(tmp_path / "rows.jsonl"), "--json"]) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "rows.jsonl").read_text()
    rows = [json.loads(line) for line in printed.splitlines()]
    found = [row for row in rows if row["what"] == "Retrieval"]
    keys = {(row["attack"], row["adapted"], row["k"], row["scope"]) for row in found}
    assert len(found) == len(keys) == 2 * 2 * 2 * 2
    for row in found:
        classes = 3 if row["scope"] == "all" else 2
        assert (row["classes"], row["queries"]) == (classes, 6 * classes)
        assert row["rank1"]["draws"] == 2
        assert row["chance_rank1"] == 1 / classes
    assert sorted(row["attack"] for row in rows if row["what"] == "ZeroShot") == ["jpeg50", "none"]
    assert [(row["ways"], row["shots"]) for row in rows if row["what"] == "Episodes"] == [(2, 1), (2, 2)]
    assert main([*words, "--adapt", "no"]) == 0
    assert "2 generators" in capsys.readouterr().out
    assert main([*words, "--k", "0"]) == 2
    assert "--k 0" in capsys.readouterr().err


def test_toy_images_have_a_size_of_their_own() -> None:
    """The small encoder takes what there is: nothing is resized, which would make new low bits."""
    encoder = load_encoder(Source())
    toys = list(toy_images(2, 0, 0))
    assert encoder.maps(toys).shape[-2:] == toys[0].shape[:2]
