"""How well a small classifier recognises the classes in the images of the packaged generators, for their cards.

    python tools/class_accuracy.py --train tiny_imagenet_train.parquet --held-out tiny_imagenet_val.parquet

It learns the classes from the training pictures and then says, per generator, which fraction of its images it puts
into the class (or prompt) that they were made for, beside the same fraction of held-out pictures that were encoded,
quantised and decoded by that generator's tokenizer: what a perfect transformer could reach. Both files have the columns
image, label and name; a class is known by the first of the names that ``name`` lists. The generators' images are those
of an image set, the packaged one unless another is given.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import iarbench.data
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.loading import load_tokenizer
from iarbench.models.variants import Variant
from iarbench.nn.memory import keep_freed_memory
from iarbench.training.checkpoint import set_lr
from iarbench.training.data import TrainingImages, load_images
from iarbench.training.pairs import pairs_of_pictures
from iarbench.training.precision import mixed
from iarbench.training.schedule import Phase, cosine

SIZE = 64
PACKAGED = Path(iarbench.data.__path__[0]) / "iarbench-mini"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Numbers of the classifier's training."""

    batch: int = 64
    lr: float = 2e-3
    smoothing: float = 0.1
    seed: int = 0


class Classifier(nn.Module):
    """A small residual network: images float32 (B, 3, 64, 64) in [0, 1] to logits (B, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (32, 64, 128, 192)
        self.stem = nn.Conv2d(3, widths[0], 5, stride=2, padding=2)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.more = nn.ModuleList(nn.Conv2d(b, b, 3, padding=1) for b in widths[1:])
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in (*widths, *widths[1:]))
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(widths[-1], classes))

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.stem(2 * images - 1)))
        for i, (down, more) in enumerate(zip(self.down, self.more, strict=True)):
            x = F.relu(self.norms[1 + i](down(x)))
            x = x + F.relu(self.norms[1 + len(self.down) + i](more(x)))
        return self.head(x.mean((-2, -1)))


def of_classes(path: Path, classes: tuple[str, ...]) -> TrainingImages:
    """The images of a Parquet file that show one of the ``classes``, numbered in their order."""
    images = load_images(str(path), SIZE, label_column="name")
    names = {name.split(",")[0].strip(): name for name in images.classes}
    return images.of_classes([names[name] for name in classes])


def varied(images: Tensor) -> Tensor:
    """A batch (B, 3, S, S) moved by up to 4 pixels; half of the images mirrored, and half without fine detail, which a
    tokenizer loses too.
    """
    top, left = torch.randint(0, 9, (2,)).tolist()
    images = F.pad(images, (4, 4, 4, 4), mode="reflect")[..., top : top + SIZE, left : left + SIZE]
    images = torch.where(_half(images), images.flip(-1), images)
    small = F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    return torch.where(_half(images), F.interpolate(small, size=(SIZE, SIZE), mode="bilinear"), images)


def _half(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1) < 0.5


def train(images: TrainingImages, classes: int, seconds: float) -> Classifier:
    """A classifier trained for so long."""
    recipe = Recipe()
    torch.manual_seed(recipe.seed)
    model = Classifier(classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=0.05)
    with TemporaryDirectory() as scratch:
        state = Path(scratch) / "classifier.pt"
        phase = Phase("classifier", recipe, state, model, optimizer, about={}, steps=0, seconds=seconds)
        for _ in phase:
            set_lr(optimizer, recipe.lr * cosine(phase.fraction))
            rows = torch.randint(len(images.pixels), (recipe.batch,))
            pixels = varied(images.pixels[rows].float() / 255)
            with mixed(pixels.device):
                logits = model(pixels)
            loss = F.cross_entropy(logits.float(), images.labels[rows], label_smoothing=recipe.smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            phase.report(loss=loss.item())
    return model.eval()


@torch.inference_mode()
def accuracy(model: Classifier, pixels: Tensor, labels: Tensor) -> float:
    """Fraction of uint8 pixels (N, 3, S, S) that the classifier gives their label (N,)."""
    found = torch.cat([model(batch.float() / 255).argmax(1) for batch in pixels.split(200)])
    return (found == labels).float().mean().item()


def own_images(images: ImageSet, variant: Variant) -> tuple[Tensor, Tensor]:
    """A generator's images in the set, uint8 (N, 3, S, S), and the classes that they were made for, int64 (N,)."""
    conditions = [str(condition) for condition in variant.every_condition]
    pixels, labels = [], []
    for record in (r for batch in images.filter(source=variant.name).iterate() for r in batch):
        pixels.append(torch.from_numpy(np.array(record.pil())))
        labels.append(conditions.index(record.condition))
    return torch.stack(pixels).permute(0, 3, 1, 2), torch.tensor(labels)


def main() -> None:
    """Train, and print one line per generator as it stands in a card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="Parquet file of training pictures")
    parser.add_argument("--held-out", type=Path, required=True, help="Parquet file of other pictures")
    parser.add_argument("--images", type=Path, default=PACKAGED, help="image set with the generators' images")
    parser.add_argument("--minutes", type=float, default=2.5, help="of the classifier's training")
    args = parser.parse_args()
    keep_freed_memory()
    images, minis = ImageSet.open(args.images), variants.minis()
    classes = minis[0].classes or ()
    if any(variant.classes != classes for variant in minis):
        parser.error("the generators do not have the same classes")
    held_out = of_classes(args.held_out, classes)
    model = train(of_classes(args.train, classes), len(classes), 60 * args.minutes)
    print(f"held-out pictures as they are: {accuracy(model, held_out.pixels, held_out.labels):.3f}")
    for variant in minis:
        decoded = pairs_of_pictures(load_tokenizer(variant), held_out.pixels).pixels.permute(0, 3, 1, 2)
        real = accuracy(model, decoded, held_out.labels)
        own = accuracy(model, *own_images(images, variant))
        print(f"{variant.name}:  class_accuracy: {own:.3f}  class_accuracy_real: {real:.3f}", flush=True)


if __name__ == "__main__":
    main()
