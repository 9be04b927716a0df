from __future__ import annotations

from pathlib import Path

import pytest

from iarbench.errors import UserError
from iarbench.specs import parse_task, read_text

GOOD = """\
name: mine
version: 2
targets: [a, b]
images: some/set
real: [photos]
detectors: [quantloss]
"""


def test_keys_left_out_have_their_defaults() -> None:
    spec = parse_task(GOOD, "mine.yaml")
    assert spec.targets == ("a", "b")
    assert (spec.attacks, spec.attacked, spec.fpr, spec.encoders) == (("none",), "both", (0.01,), ("original",))
    assert (spec.member_split, spec.calibration_split, spec.preprocessing) == ("test", "calibration", "exact")
    assert (spec.schema_version, spec.kind, spec.fit_split, spec.pooled) == (1, "provenance", "fit", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "atacks: [none]\n", r"^mine.yaml: unknown key 'atacks': did you mean 'attacks'.*known:.*targets"),
        (GOOD.replace("version: 2\n", ""), r"^mine.yaml: key 'version': Field required$"),
        (GOOD.replace("version: 2", "version: 0"), "key 'version'.*greater than or equal to 1, given 0"),
        (GOOD.replace("[a, b]", "[]"), "key 'targets'"),
        (GOOD + "attacked: all\n", "key 'attacked'.*'both', 'members' or 'nonmembers'.*'all'"),
        (GOOD + "encoders: [inverted]\n", "^mine.yaml: unknown encoder 'inverted': did you mean 'inverse'"),
        (GOOD + "preprocessing: stretch\n", "'exact', 'resize-crop' or 'squash'"),
        (GOOD + "fpr: 0.01\n", "key 'fpr'"),
        (GOOD + "fpr: [1]\n", "key 'fpr.0': Input should be less than 1, given 1"),
        (
            GOOD + "schema_version: 2\n",
            "schema_version 2 is newer than this iarbench, which reads 1; upgrade",
        ),
        (GOOD + "kind: retrieval\n", "key 'kind': Input should be 'provenance' or 'attribution', given 'retrieval'"),
        (GOOD + "pooled: [fotos]\n", "mine.yaml: pooled: 'fotos' is not one of real: photos"),
        (
            GOOD + "fit_split: calibration\n",
            "fit_split and calibration_split are both 'calibration'",
        ),
        (GOOD + "calibration_split: test\n", "calibration_split and member_split are both 'test'"),
        ("- a\n- b\n", "not a task"),
        ("a: [1\n", "is not YAML"),
    ],
)
def test_every_mistake_is_one_line_with_file_and_key(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_task(text, "mine.yaml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("mine.yaml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff")
    with pytest.raises(UserError, match=r"latin.yaml: cannot be read"):
        read_text(tmp_path / "latin.yaml")
