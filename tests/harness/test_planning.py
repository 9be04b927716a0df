from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from toys import Toys, records

from iarbench.errors import UserError
from iarbench.harness.plan import Plan, Settings, together
from iarbench.harness.planning import CHUNK, make_plan
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.task import Task
from iarbench.testing import toy_records, write_toy_family

MINE = """
from iarbench.detector import Detector, mse
class Mine(Detector):
    name = "mine"
    def score(self, evidence):
        return {"mine": -mse(evidence.f, evidence.quantized.features)}
"""


def plan(toys: Toys, images: ImageSet | None = None, settings: Settings | None = None, **changes: object) -> Plan:
    task = Task.load(str(toys.task)).narrowed(**changes)  # type: ignore[arg-type]
    return make_plan(task, images or ImageSet.open(toys.images), "toys", settings or Settings())


def keys(found: Plan) -> set[str]:
    return {part.key for part in found.parts}


def test_every_cell_is_planned_once(toy_family: Toys) -> None:
    found = plan(toy_family)
    # 2 attacks x (2 targets x 5 parts of the image set each) x 2 encoders x 2 detectors
    assert len(found.parts) == len(keys(found)) == 2 * 2 * 5 * 2 * 2
    assert len({part.path for part in found.parts}) == 80
    assert len(found.index) == 150
    assert not any(
        part.identity["target"] == part.chunk.source and part.chunk.split == "calibration" for part in found.parts
    )


def test_images_are_decoded_and_attacked_once_for_all_who_look_at_them(toy_family: Toys) -> None:
    found = plan(toy_family)
    seen = [(job.attack, job.chunk.source, job.chunk.split) for job in found.jobs]
    assert len(seen) == len(set(seen)) == 12
    assert {len(job.cells) for job in found.jobs} == {4, 8}


def test_limit_takes_the_first_images_of_each_source_and_split(toy_family: Toys) -> None:
    found = plan(toy_family, settings=Settings(limit=3))
    assert len(found.index) == 18
    first = next(job.chunk for job in found.jobs if job.chunk.source == "noise" and job.chunk.split == "test")
    assert first.image_ids == ("noise/test/00000", "noise/test/00001", "noise/test/00002")


def test_a_task_can_ask_for_the_first_images_of_each_role_alone(toy_family: Toys) -> None:
    found = plan(toy_family, first={"members": 4, "real": 3, "others": 2}, attacks=["none"])
    seen = {(part.identity["target"], part.chunk.source, part.chunk.split): part.chunk for part in found.parts}
    counts = {key: len(chunk.image_ids) for key, chunk in seen.items()}
    one = {("toy-a", "toy-a", "test"): 4, ("toy-a", "toy-b", "test"): 2, ("toy-a", "toy-b", "calibration"): 2}
    one |= {("toy-a", "noise", "test"): 3, ("toy-a", "noise", "calibration"): 3}
    other = {
        tuple("toy-b" if n == "toy-a" else "toy-a" if n == "toy-b" else n for n in key): c for key, c in one.items()
    }
    assert counts == one | other
    assert seen["toy-a", "toy-b", "test"].image_ids == ("toy-b/test/00000", "toy-b/test/00001")
    assert len(found.index) == 2 * 4 + 2 * 2 + 2 * 3


def test_chunks_stay_small(toy_family: Toys, tmp_path: Path) -> None:
    many = ImageSet.write(
        [*toy_records(CHUNK + 1, "noise", "test", seed=1), *toy_records(2, "toy-a", "test", seed=2, offset=0)],
        tmp_path / "many",
    )
    found = plan(toy_family, many, targets=["toy-a"], attacks=["none"])
    assert [len(job.chunk.image_ids) for job in found.jobs] == [CHUNK, 1, 2]


def test_new_weights_change_the_keys_of_their_target_alone(
    toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan(toy_family)
    monkeypatch.setenv("IARBENCH_GENERATORS", str(write_toy_family(tmp_path / "f", {"toy-a": 0, "toy-b": 26})))
    variants._all.cache_clear()
    after = plan(toy_family)
    changed = {part.identity["target"] for part in after.parts if part.key not in keys(before)}
    assert changed == {"toy-b"}
    assert len(keys(before) & keys(after)) == 40


def test_weights_from_a_folder_of_the_user_count_by_content(toy_family: Toys, tmp_path: Path) -> None:
    other = write_toy_family(tmp_path / "other", {"toy-a": 7})
    found = plan(toy_family, settings=Settings(weights_dir=other), targets=["toy-a"])
    assert not keys(found) & keys(plan(toy_family))
    same = plan(toy_family, settings=Settings(weights_dir=toy_family.family))
    assert keys(same) == keys(plan(toy_family))


def test_one_changed_image_changes_the_keys_of_its_chunk_alone(toy_family: Toys, tmp_path: Path) -> None:
    changed = list(records())
    place = next(i for i, record in enumerate(changed) if record.image_id == "noise/test/00003")
    (other,) = toy_records(1, "noise", "test", seed=999)
    changed[place] = dataclasses.replace(changed[place], bytes=other.bytes, sha256=other.sha256)
    after = plan(toy_family, ImageSet.write(changed, tmp_path / "changed"))
    fresh = [part for part in after.parts if part.key not in keys(plan(toy_family))]
    assert {(part.chunk.source, part.chunk.split) for part in fresh} == {("noise", "test")}
    assert len(fresh) == 2 * 2 * 2 * 2


def test_attack_version_precision_and_preprocessing_change_keys(
    toy_family: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iarbench.attacks.jpeg import Jpeg

    before = plan(toy_family)
    assert not keys(plan(toy_family, settings=Settings(precision="bfloat16"))) & keys(before)
    assert not keys(plan(toy_family, preprocessing="resize-crop")) & keys(before)
    monkeypatch.setattr(Jpeg, "version", Jpeg.version + 1)
    after = plan(toy_family)
    assert {part.identity["attack"] for part in after.parts if part.key not in keys(before)} == {"jpeg50"}


def test_spellings_of_one_attack_share_their_scores(toy_family: Toys) -> None:
    assert keys(plan(toy_family, attacks=["crop0.80"])) == keys(plan(toy_family, attacks=["crop.8"]))


def test_editing_a_detector_file_changes_its_keys(toy_family: Toys, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    before = keys(plan(toy_family, detectors=[f"{file}:Mine"]))
    file.write_text(MINE + "# changed\n")
    assert not before & keys(plan(toy_family, detectors=[f"{file}:Mine"]))


def test_how_it_is_computed_is_in_no_key(toy_family: Toys) -> None:
    quick = Settings(device="cuda", batch_size=1, workers=3, compile=True)
    assert keys(plan(toy_family, settings=quick)) == keys(plan(toy_family))


def test_a_missing_encoder_is_left_out_with_a_note(toy_family: Toys) -> None:
    found = plan(toy_family, encoders=["original", "inverse-aug"])
    assert found.notes == tuple(
        f"{name} has no inverse-aug encoder, skipped; it has: original, inverse" for name in ("toy-a", "toy-b")
    )
    with pytest.raises(UserError, match="nothing to run: toy-a has no inverse-aug encoder"):
        plan(toy_family, encoders=["inverse-aug"])


def test_unknown_names_say_what_is_near(toy_family: Toys) -> None:
    for changes, message in [
        ({"targets": ["toy-c"]}, "unknown generator 'toy-c': did you mean"),
        ({"detectors": ["quantlos"]}, "unknown detector 'quantlos': did you mean 'quantloss'"),
        ({"attacks": ["jpg50"]}, "unknown attack 'jpg': did you mean 'jpeg'"),
        ({"detectors": ["./nowhere.py:Mine"]}, "there is no file"),
    ]:
        with pytest.raises(UserError, match=message):
            plan(toy_family, **changes)


def test_ids_that_occur_twice_are_an_error(toy_family: Toys, tmp_path: Path) -> None:
    for name in ("part-1", "part-2"):
        (tmp_path / "twice").mkdir(exist_ok=True)
        source = next(toy_family.images.glob("*.parquet"))
        (tmp_path / "twice" / f"{name}.parquet").write_bytes(source.read_bytes())
    with pytest.raises(UserError, match="image id 'toy-a/test/00000' occurs twice in toys"):
        plan(toy_family, ImageSet.open(tmp_path / "twice"))


def test_jobs_over_the_same_images_are_made_one(toy_family: Toys) -> None:
    alone = [plan(toy_family, targets=[name]).jobs for name in ("toy-a", "toy-b")]
    joined = together(job for jobs in alone for job in jobs)
    seen = [(job.attack, job.chunk, job.image_size) for job in joined]
    assert len(seen) == len(set(seen)) == 12
    assert sorted(cell.part.key for job in joined for cell in job.cells) == sorted(keys(plan(toy_family)))
