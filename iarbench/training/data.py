"""Training images in memory as uint8, and their augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.images.importing import ImportReport, Treatment
from iarbench.images.preprocess import Preprocess
from iarbench.images.sources import open_source
from iarbench.progress import Progress

#: conditions that say that nobody knows the class; -1 is how Hugging Face `datasets` writes it
UNLABELLED = ("", "-1")


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """``pixels`` uint8 (N, 3, S, S), ``labels`` int64 (N,) and the names of the ``classes`` that they number; -1 is a
    picture whose class is unknown. ``skipped`` says in a line what could not be used, "" if everything could.
    """

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    skipped: str

    def of_classes(self, names: Sequence[str]) -> TrainingImages:
        """The images of these classes alone, numbered in their order. Raises UserError where one is not there."""
        for name in names:
            if name not in self.classes:
                shown = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
                raise UserError(f"no image is of class {name!r}; there are: {shown}")
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"class {twice[0]!r} is asked for twice")
        number = torch.full((len(self.classes) + 1,), -1)  # the last place is that of label -1
        number[[self.classes.index(name) for name in names]] = torch.arange(len(names))
        chosen = number[self.labels] >= 0
        return TrainingImages(self.pixels[chosen], number[self.labels[chosen]], tuple(names), self.skipped)


def load_images(src: str, size: int, label_column: str | None = None, limit: int | None = None) -> TrainingImages:
    """All images that a user names, or the first ``limit``, shorter side resized and centre-cropped to ``size``.

    ``src``: whatever `iarbench images import` takes: a folder (folders in it are classes), Parquet, an image set, the
    Hub. Classes are in the order of their numbers, else of their names. Raises UserError when no image can be used.
    """
    report, fit = ImportReport(), Preprocess(size)
    pixels, conditions = [], []
    with Progress("load images", None) as progress:
        for record in open_source(src, Treatment(limit=limit), report, label_column=label_column):
            pixels.append(torch.from_numpy(np.asarray(fit.image(record.pil())).copy()))
            conditions.append(record.condition.strip())
            progress.show(len(pixels))
    if not pixels:
        raise UserError(f"{src}: no image to train on ({report.summary() or 'it is empty'})")
    classes = sorted(set(conditions) - set(UNLABELLED), key=lambda name: (not name.isdecimal(), name.zfill(20), name))
    numbers = {name: number for number, name in enumerate(classes)}
    labels = torch.tensor([numbers.get(condition, -1) for condition in conditions])
    skipped = f"{len(report.skipped)} images left out: {report.summary()}" if report.skipped else ""
    return TrainingImages(torch.stack(pixels).permute(0, 3, 1, 2).contiguous(), labels, tuple(classes), skipped)


def random_batch(pixels: Tensor, size: int) -> Tensor:
    """``size`` images float32 (B, 3, S, S) in [0, 1], each mirrored with probability one half."""
    batch = pixels[torch.randint(len(pixels), (size,))].float() / 255
    flip = torch.rand(size) < 0.5
    batch[flip] = batch[flip].flip(-1)
    return batch
