"""Our token search beside the reference's on the same features: seconds, error, and how many known tokens come back.

    python benchmarks/bench_token_search.py [--images N] [--weights DIR]
    python benchmarks/bench_token_search.py --full [--images N] [--reference-images N]

Known tokens are those of generated images, their features disturbed by white noise of 0 to 0.2 of the greedy error; own
images are decoded and encoded again. ``moved``: how many scores of these and of photographs move by more than 1e-4 when
their features move by 1 part in 10^7 to 10^5, as they do between machines. The reference takes all its images in one
batch, as the paper does. ``--full`` is VAR's full geometry with random weights, where the reference is run on a few
images only. All on one thread, as in a run, which gives each core a chunk. ``cpu_seconds_an_image`` leaves out the time
in which other work held the core.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import keep
from torch import Tensor

from iarbench.content import images_path
from iarbench.harness.batches import to_images
from iarbench.images.image_set import ImageSet
from iarbench.models.loading import load_generator, load_tokenizer
from iarbench.models.variants import get
from iarbench.models.weights import encoders
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.task import Task
from iarbench.token_search import MODES_ONLY, Budget, search
from iarbench.token_search.solvers import reference

NOISE = (0.0, 0.05, 0.1, 0.2)
PUSHES = (1e-7, 1e-6, 1e-5)
MOVED = 1e-4
TARGET = "var-mini"
MINI = {"modes": MODES_ONLY, "ep": Budget(), "ep_moves": Budget(moves=24)}
FULL = {"modes": MODES_ONLY, "ep": Budget()}


@dataclass(frozen=True, slots=True)
class Bed:
    """Features (B, C, side, side), the tokens (B, L) they were made from, and how many meet the reference."""

    name: str
    features: Tensor
    known: Tensor
    with_reference: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """What a solver made of the features of a bed: tokens (B, L), errors (B,), seconds for all of them, by the clock
    and of the processor.
    """

    tokens: Tensor
    errors: Tensor
    seconds: float
    cpu_seconds: float

    def summary(self, known: Tensor) -> dict[str, object]:
        same = self.tokens == known
        return {
            "seconds_an_image": float(f"{self.seconds / len(same):.3g}"),
            "cpu_seconds_an_image": float(f"{self.cpu_seconds / len(same):.3g}"),
            "mse": float(f"{float(self.errors.mean()):.4g}"),
            "tokens_right": round(float(same.float().mean()), 4),
            "images_exact": round(float(same.all(1).float().mean()), 4),
        }


def mse(quantizer: MultiScaleQuantizer, f: Tensor, tokens: Tensor) -> Tensor:
    return (quantizer.lookup(tokens) - f).square().flatten(1).mean(1)


def run(quantizer: MultiScaleQuantizer, f: Tensor, solver: Callable[[Tensor], Tensor]) -> Run:
    start, cpu_start = time.perf_counter(), time.process_time()
    tokens = solver(f)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return Run(tokens, mse(quantizer, f, tokens), seconds, cpu_seconds)


def compare(
    quantizer: MultiScaleQuantizer, bed: Bed, usage: Tensor | None, budgets: dict[str, Budget]
) -> dict[str, object]:
    """Every solver on the same features, and each of ours against greedy and the reference image by image."""
    greedy = run(quantizer, bed.features, lambda f: quantizer(f)[0])
    ours = {
        name: run(quantizer, bed.features, lambda f, b=budget: search(quantizer, f, b, usage).tokens)  # type: ignore[misc]
        for name, budget in budgets.items()
    }
    rows = {"greedy": greedy.summary(bed.known), **{name: own.summary(bed.known) for name, own in ours.items()}}
    for name, own in ours.items():
        rows[name]["images_above_greedy"] = int((own.errors > greedy.errors).sum())
    if n := bed.with_reference:
        theirs = run(quantizer, bed.features[:n], lambda f: reference(quantizer, f).tokens)
        rows["reference"] = {"images": n, **theirs.summary(bed.known[:n])}
        for name, own in ours.items():
            seconds = own.cpu_seconds / len(own.errors) / (theirs.cpu_seconds / n)
            rows[f"{name}_to_reference"] = {
                "mse": float(f"{float(own.errors[:n].mean() / theirs.errors.mean()):.3g}"),
                "cpu_seconds": float(f"{seconds:.3g}"),
                "share_of_images_at_least_as_low": round(float((own.errors[:n] <= theirs.errors).float().mean()), 4),
            }
    return dict(rows)


def noisy(quantizer: MultiScaleQuantizer, known: Tensor, with_reference: dict[float, int]) -> Iterator[Bed]:
    """The sums of known tokens, under white noise of each level."""
    clean = quantizer.lookup(known)
    greedy = float(mse(quantizer, clean, quantizer(clean)[0]).mean())
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    for level in NOISE:
        f = clean + (level * greedy) ** 0.5 * noise
        yield Bed(f"known_tokens_noise_{level}", f, known, with_reference.get(level, 0))


def shared_cost(
    quantizer: MultiScaleQuantizer, f: Tensor, usage: Tensor | None, budgets: dict[str, Budget]
) -> dict[str, object]:
    """What a model pays once for each budget, processor seconds (near 0 where it was kept on disk), and peak memory."""
    seconds = {}
    for name, budget in budgets.items():
        start = time.process_time()
        search(quantizer, f[:1], budget, usage)
        seconds[name] = round(time.process_time() - start, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"cpu_seconds_shared_and_one_batch": seconds, "peak_memory_gib": round(peak, 2)}


def moved(
    quantizer: MultiScaleQuantizer, f: Tensor, usage: Tensor | None, budgets: dict[str, Budget]
) -> dict[str, object]:
    """For each budget the fraction of images whose error moves with the last digits of their features, by push."""
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(1))

    def errors(f: Tensor, budget: Budget) -> Tensor:
        return mse(quantizer, f, search(quantizer, f, budget, usage).tokens)

    found: dict[str, object] = {}
    for name, budget in budgets.items():
        before = errors(f, budget)
        after = {push: errors(f * (1 + push * noise), budget) for push in PUSHES}
        moves = {push: float(((e - before).abs() > MOVED * before).float().mean()) for push, e in after.items()}
        found[name] = {str(push): round(fraction, 4) for push, fraction in moves.items()}
    return found


def photographs(count: int) -> Tensor:
    """Of the packaged set, float32 (B, 3, H, W) in [0, 1]."""
    images = ImageSet.open(images_path("iarbench-mini")).filter(source=Task.load("mini").spec.real[0])
    records = next(images.iterate(batch_size=count))
    return to_images(np.stack([np.array(record.pil()) for record in records]), "cpu")


def bench_mini(images: int, counted: int, weights: Path | None) -> None:
    """var-mini's own tokens and images; code usage counted over other images of it."""
    generator = load_generator(TARGET, weights_dir=weights)
    tokenizer, total = generator.tokenizer, images + counted
    classes = torch.arange(total) % get(TARGET).num_classes
    batches = zip(classes.split(64), torch.arange(total).split(64), strict=True)
    tokens = torch.cat([generator.sample(condition, seed.tolist()).tokens for condition, seed in batches])
    quantizer, known = tokenizer.quantizer, tokens[:images]
    usage, clean = quantizer.count(tokens[images:]), quantizer.lookup(known)
    results: dict[str, object] = {"target": TARGET, "images": images, "codes": list(quantizer.embedding.weight.shape)}
    results |= shared_cost(quantizer, clean, usage, MINI)
    beds = list(noisy(quantizer, known, {0.0: images}))
    encoder = encoders(get(TARGET), weights)[-1]
    tested = load_tokenizer(get(TARGET), encoder, weights)
    own = torch.cat([tested.encode(tokenizer.decode(part)) for part in clean.split(32)])
    beds.append(Bed(f"own_images_{encoder}", own, known, images))
    for bed in beds:
        results[bed.name] = compare(quantizer, bed, usage, MINI)
    real = torch.cat([tested.encode(part) for part in photographs(images).split(32)])
    results["moved"] = {
        "own_images": moved(quantizer, own, usage, MINI),
        "photographs": moved(quantizer, real, usage, MINI),
    }
    keep("token_search", results)


def bench_full(images: int, reference_images: int) -> None:
    """Full geometry, random weights, all codes as likely."""
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(4096, 32, (1, 2, 3, 4, 5, 6, 8, 10, 13, 16), 0.5, 4).requires_grad_(False).eval()
    quantizer.embedding.weight.mul_(0.3)
    known = torch.randint(4096, (images, sum(n * n for n in quantizer.patch_nums)))
    clean = quantizer.lookup(known)
    results: dict[str, object] = {"images": images, **shared_cost(quantizer, clean, None, FULL)}
    for bed in noisy(quantizer, known, {0.0: reference_images}):
        results[bed.name] = compare(quantizer, bed, None, FULL)
    keep("token_search_full", results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, help="default: 100, with --full 4")
    parser.add_argument("--counted", type=int, default=512, help="generated images whose code usage is counted")
    parser.add_argument("--weights", type=Path, help="folder of var-mini's files, if not the packaged ones")
    parser.add_argument("--full", action="store_true", help="VAR's full geometry instead, with random weights")
    parser.add_argument("--reference-images", type=int, default=1, help="with --full, images it is run on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        if args.full:
            bench_full(args.images or 4, args.reference_images)
        else:
            bench_mini(args.images or 100, args.counted, args.weights)


if __name__ == "__main__":
    main()
