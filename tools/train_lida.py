"""Pre-trains the small encoders of the detector `lida`, one per kind of fingerprint.

    python tools/train_lida.py --train tiny_imagenet_train.parquet --test tiny_imagenet_val.parquet

Both files have the columns image (64 px) and label (0 to 199). An encoder learns the 200 classes by cross-entropy from
fingerprints alone; its last layer is then thrown away, and the mean feature of 10,000 training images, the prototype of
real images, is stored beside it in `iarbench/retrieval/lida-KIND.safetensors`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

import iarbench.retrieval
from iarbench.images.decode import decode_rgb
from iarbench.retrieval.fingerprint import channels, fingerprint
from iarbench.retrieval.small_resnet import WIDTHS, SmallResNet
from iarbench.retrieval.source import KINDS, Kind

CLASSES = 200
BATCH = 64
RATE = 3e-3
DECAY = 0.05
PROTOTYPE_IMAGES = 10_000
CROP = 32
"""Side in pixels of the random crops that are learnt from: a quarter of the cost of whole images."""


def main() -> None:
    """Train every kind in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--limit", type=int, help="only the first training images, for a try")
    parser.add_argument("--fingerprint", choices=KINDS, action="append")
    parser.add_argument("--out", type=Path, default=Path(iarbench.retrieval.__path__[0]))
    args = parser.parse_args()
    train, test = read(args.train, args.limit), read(args.test)
    for kind in args.fingerprint or KINDS:
        start = time.perf_counter()
        encoder, head = learn(*train, kind, args.epochs)
        metadata = {
            "fingerprint": kind,
            "epochs": f"{args.epochs:g}",
            "train_images": str(len(train[0])),
            "test_accuracy": f"{accuracy(encoder, head, *test, kind):.4f}",
            "torch": torch.__version__,
        }
        tensors = {f"encoder.{name}": value.contiguous() for name, value in encoder.state_dict().items()}
        tensors["prototype"] = features(encoder, train[0][:PROTOTYPE_IMAGES], kind).double().mean(0).float()
        save_file(tensors, args.out / f"lida-{kind}.safetensors", metadata)
        print(json.dumps({**metadata, "seconds": round(time.perf_counter() - start)}), flush=True)


def read(path: Path, limit: int | None = None) -> tuple[np.ndarray, Tensor]:
    """Pixels uint8 (N, 64, 64, 3) and labels int64 (N,)."""
    rows = pq.read_table(path, columns=["image", "label"]).slice(0, limit).to_pydict()
    pixels = np.stack([np.asarray(decode_rgb(image["bytes"], path.name)) for image in rows["image"]])
    return pixels, torch.tensor(rows["label"])


def maps(pixels: np.ndarray, kind: Kind) -> Tensor:
    """Fingerprints float32 (B, C, H, W) in [0, 1]."""
    return torch.from_numpy(fingerprint(pixels, kind)).permute(0, 3, 1, 2).float() / 255


def learn(pixels: np.ndarray, labels: Tensor, kind: Kind, epochs: float) -> tuple[SmallResNet, nn.Linear]:
    """Encoder and last layer after `epochs` times all images; half of a batch are mirrored, all of it is cropped."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    encoder = SmallResNet(channels(kind))
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    head = nn.Linear(WIDTHS[-1], CLASSES)
    parameters = [*encoder.parameters(), *head.parameters()]
    steps = max(1, round(epochs * len(pixels) / BATCH))
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    order = np.concatenate([rng.permutation(len(pixels)) for _ in range(int(epochs) + 2)])
    running = 0.0
    for step in range(steps):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        batch = pixels[chosen]
        mirrored = rng.random(len(batch)) < 0.5
        batch[mirrored] = batch[mirrored, :, ::-1]
        top, left = rng.integers(0, batch.shape[1] - CROP + 1, size=2)
        batch = batch[:, top : top + CROP, left : left + CROP]
        loss = functional.cross_entropy(head(encoder(maps(batch, kind))), labels[torch.from_numpy(chosen)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        running += loss.item()
        if (step + 1) % 50 == 0:
            print(f"{kind}: step {step + 1} of {steps}, loss {running / 50:.3f}", flush=True)
            running = 0.0
    return encoder.eval(), head.eval()


@torch.no_grad()
def features(encoder: SmallResNet, pixels: np.ndarray, kind: Kind) -> Tensor:
    """Features float32 (N, 128)."""
    return torch.cat([encoder(maps(pixels[at : at + BATCH], kind)) for at in range(0, len(pixels), BATCH)])


@torch.no_grad()
def accuracy(encoder: SmallResNet, head: nn.Linear, pixels: np.ndarray, labels: Tensor, kind: Kind) -> float:
    """Fraction of images whose class is named first."""
    return float((head(features(encoder, pixels, kind)).argmax(1) == labels).double().mean())


if __name__ == "__main__":
    main()
