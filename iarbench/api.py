"""iarbench from Python: what the commands do, for notebooks and scripts. Mistakes in the input raise UserError."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.device import PRECISIONS, Precision, check_device, resolve_device
from iarbench.errors import UserError
from iarbench.parameters import split_names
from iarbench.results.view import View
from iarbench.task import Task

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

    from iarbench.detector import Detector
    from iarbench.evidence import Target
    from iarbench.harness.launch.engine import Launch
    from iarbench.harness.plan import Settings
    from iarbench.harness.run import Outcome

Names = str | Sequence[str] | None
"""One name, several in a list or separated by commas, or None for all of the task."""
AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class Results:
    """What a run ends with. Printed, it is the table that the command prints."""

    out: Path
    """The folder of the run."""
    outcome: Outcome
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every number: a row per metric, detector, score, target, encoder, attack and non-member set.

        Columns: the fields of `iarbench.results.rows.Row`; of an attribution task those of
        `iarbench.results.attribution.rows.AttributionRow`. Metrics and rates are fractions.
        """
        import pandas as pd

        return pd.DataFrame([row.model_dump() for row in self.outcome.rows])

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every score: a row per image, score, detector, target, encoder and attack.

        `score`: float64, higher = more likely made by `target`; `source`, `split` and `group` say what the image is.
        """
        from iarbench.results.scores import load_index, load_scores
        from iarbench.results.seal import parts_of

        index = load_index(self.out).drop(columns="sha256")
        return load_scores(self.out, parts_of(self.out)).merge(index, on="image_id")

    def table(self, **view: Any) -> str:
        """The table as text; `view`: fields of `iarbench.results.view.View`, such as `details=True`, `fpr=0.05`."""
        return self.outcome.kind.plain(self.outcome.rows, View(**view))

    def __repr__(self) -> str:
        return self.table()


def run(
    task: str = "mini",
    *,
    target: Names = None,
    detector: Names = None,
    encoder: Names = None,
    attack: Names = None,
    attacked: str | None = None,
    align: str | None = None,
    images: str | None = None,
    members: AnyPath | None = None,
    real: AnyPath | Sequence[AnyPath] | None = None,
    group_by: str | None = None,
    group_column: str | None = None,
    with_others: bool = False,
    read_as: str | None = None,
    fpr: float | Sequence[float] | None = None,
    limit: int | None = None,
    out: AnyPath | None = None,
    reuse: AnyPath | Sequence[AnyPath] = (),
    device: str = "auto",
    precision: Precision = "float32",
    batch_size: int | None = None,
    workers: int | None = None,
    weights: AnyPath | None = None,
    launch: str | None = None,
    jobs: int | None = None,
    slurm: Mapping[str, str | int] | None = None,
    address: str | None = None,
    progress: bool = True,
) -> Results:
    """Score images and say which a generator made, as `iarbench run` does; the same call again resumes.

    Args:
        task: a packaged task, or the path of a .yaml file.
        target, detector, encoder, attack, images, attacked, align, fpr, limit: replace what the task says, as the
            options of the command do.
        members, real, group_by, group_column, with_others, read_as: your own images in place of the task's, as the
            options of the command; `real` may be several.
        out: folder of the run; by default runs/<task>.
        reuse: folders of other runs, whose scores are taken over where they are the same.
        device, precision, batch_size, workers, weights: how to compute, as the options of the command.
        launch, jobs, slurm, address: several processes or machines, as the options of the command; `launch` is local,
            slurm or ray, `slurm` its parameters such as {"partition": "gpu"}. A script that says "local" starts
            itself anew in every process: keep what it does below `if __name__ == "__main__":`.
        progress: whether to say on standard error how far it is.

    Raises:
        UserError: a mistake in the input, in one line; or some parts could not be computed.
    """
    asked = _as_written(locals())
    from iarbench.files import cache_dir
    from iarbench.harness import run as harness
    from iarbench.harness.own_images import own_task
    from iarbench.harness.own_set import OwnImages

    settings = _settings(device, precision, batch_size, workers, weights, limit)
    engine = _launch(launch, jobs, slurm, address)
    texts = [os.fspath(path) for path in ([real] if isinstance(real, str | PathLike) else real or ())]
    own = OwnImages.asked(
        None if members is None else os.fspath(members), texts, group_by, group_column, with_others, read_as, images
    )
    stream = sys.stderr if progress else None
    narrowed = (
        Task.load(task)
        .narrowed(
            targets=_names(target),
            detectors=_names(detector),
            encoders=_names(encoder),
            attacks=_names(attack),
            attacked=attacked,
            images=images,
            fpr=[fpr] if isinstance(fpr, float | int) else fpr,
        )
        .aligned(align)
    )
    mine, notes = own_task(narrowed, own, cache_dir() / "own-images", stream) if own else (narrowed, [])
    plan = harness.prepare(mine, settings, notes, hashed=engine is None)
    folder = Path(out) if out is not None else Path("runs") / mine.spec.name
    if stream:
        stream.writelines(f"note: {note}\n" for note in plan.notes)
    others = [Path(one) for one in ([reuse] if isinstance(reuse, str | PathLike) else reuse)]
    return Results(folder, harness.run(plan, folder, settings, stream, asked, others, engine), plan.notes)


def read_results(out: AnyPath) -> Results:
    """The results of a finished run, computed again from its stored scores, as `iarbench report` does; no torch.

    Raises:
        UserError: `out` is not the folder of a finished run.
    """
    from iarbench.harness.run import recompute

    return Results(Path(out), recompute(Path(out)))


def load_target(
    name: str, encoder: str | None = None, *, device: str = "auto", weights: AnyPath | None = None
) -> Target:
    """A generator under test, ready to score images with: its tokenizer with one of its encoders.

    Args:
        name: a generator of `iarbench ls generators`.
        encoder: one of those that `iarbench ls generators` shows; by default inverse where there is one.
        device: auto, cpu, cuda, cuda:N or mps.
        weights: folder to look for weight files in first.

    Raises:
        UserError: an unknown name, or weights or a device that cannot be had.
    """
    from iarbench.models import loading, variants
    from iarbench.models.weights import encoders

    folder = _folder(weights)
    known = encoders(variants.get(name), folder)
    chosen = encoder or ("inverse" if "inverse" in known else "original")
    return loading.load_target(name, chosen, resolve_device(device), folder)


def load_detector(name: str) -> Detector:
    """A detector by name, or from a file, with its parameters: "quantloss", "./mine.py:Mine:steps=3".

    Raises:
        UserError: an unknown name or parameter, or something that is no detector.
    """
    from iarbench.harness.choose import choose

    return choose(name).make()


def score(detector: Detector, target: Target, images: Sequence[Image.Image]) -> pd.DataFrame:
    """Score pictures: a row per image, a column per score of the detector; higher = more likely made by the target.

    `images`: of any size and mode; they are brought to the target's size (shorter side, then centre crop).

    Raises:
        UserError: the tokenizer lacks what the detector needs, or the scores are not one number per image.
    """
    import numpy as np
    import pandas as pd

    from iarbench.detector import fits
    from iarbench.harness.batches import to_images
    from iarbench.harness.isolate import Isolated
    from iarbench.images.preprocess import Preprocess

    if not images:
        raise UserError("there are no images to score")
    if fits(type(detector)):
        raise UserError(
            f"detector {detector.name!r} learns from the split `fit` of a task first; "
            "score with `iarbench run` or run()"
        )
    treat = Preprocess(target.image_size).image
    pixels = np.stack([np.asarray(treat(image.convert("RGB"))) for image in images])
    device = str(next(target.tokenizer.parameters()).device)
    at_work = Isolated(detector, target, f"detector {detector.name!r}")
    return pd.DataFrame(at_work.score(to_images(pixels, device), "float32").scores)


def _as_written(arguments: dict[str, Any]) -> str:
    """The call of `run` with these arguments, those with their default values left out."""
    defaults = inspect.signature(run).parameters
    given = [
        f"{key}={str(value)!r}" if isinstance(value, Path) else f"{key}={value!r}"
        for key, value in arguments.items()
        if value != defaults[key].default
    ]
    return f"iarbench.run({', '.join(given)})"


def _names(given: Names) -> list[str]:
    texts = [given] if isinstance(given, str) else given or ()
    return [name for text in texts for name in split_names(text)]


def _settings(
    device: str,
    precision: Precision,
    batch_size: int | None,
    workers: int | None,
    weights: AnyPath | None,
    limit: int | None,
) -> Settings:
    from iarbench.harness.plan import Settings

    check_device(device)
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("limit", limit, 1)):
        if value is not None and (not isinstance(value, int) or value < least):
            raise UserError(f"{name} {value!r} is not a whole number from {least}")
    return Settings(device, precision, batch_size, workers, _folder(weights), limit)


def _launch(
    launch: str | None, jobs: int | None, slurm: Mapping[str, str | int] | None, address: str | None
) -> Launch | None:
    from iarbench.harness.launch.engine import ENGINES, NEEDS, Launch

    if launch is not None and launch not in ENGINES:
        raise UserError(f"launch {launch!r} is not one of {', '.join(ENGINES)}")
    for name, value in (("jobs", jobs), ("slurm", slurm), ("address", address)):
        if value is not None and launch not in NEEDS[name]:
            raise UserError(f"{name} needs launch={' or '.join(map(repr, NEEDS[name]))}")
    if jobs is not None and (not isinstance(jobs, int) or jobs < 1):
        raise UserError(f"jobs {jobs!r} is not a whole number from 1")
    if launch == "slurm" and jobs is None:
        raise UserError("launch='slurm' needs jobs, how many jobs the array has at a time")
    return None if launch is None else Launch(launch, jobs, dict(slurm or {}), address or "auto")


def _folder(weights: AnyPath | None) -> Path | None:
    if weights is not None and not Path(weights).is_dir():
        raise UserError(f"weights {weights}: there is no such folder")
    return None if weights is None else Path(weights)
