"""Our token search beside the reference's on the same features: seconds, error, and how many known tokens come back.

    python benchmarks/bench_token_search.py [--images N] [--weights DIR] [--full]

Known tokens are those of generated images, their features disturbed by noise of 0 to 0.4 of the greedy error; own
images are decoded and encoded again. ``--full`` is VAR's full geometry with random weights, where the reference is
timed on a few steps and its 1,200 are extrapolated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import keep
from torch import Tensor

from iarbench.loading import load_generator, load_tokenizer
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.nn.search import MODES_ONLY, Budget, search
from iarbench.nn.token_search import reference_search
from iarbench.variants import get
from iarbench.weights import encoders

STAGES, ITERATIONS = 6, 200
NOISE = (0.0, 0.1, 0.2, 0.4)
TARGET = "var-mini"
Solver = Callable[[Tensor], Tensor]


def reference(quantizer: MultiScaleQuantizer, f: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """All stages of the reference: all scales free, then one scale fewer a stage."""
    tokens, _ = quantizer(f)
    scales = len(quantizer.patch_nums)
    for stage in range(STAGES):
        tokens = reference_search(quantizer, f, tokens, scales - stage, iterations)
    return tokens


def mse(quantizer: MultiScaleQuantizer, f: Tensor, tokens: Tensor) -> Tensor:
    return (quantizer.lookup(tokens) - f).square().flatten(1).mean(1)


def measure(quantizer: MultiScaleQuantizer, f: Tensor, solver: Solver, known: Tensor | None) -> dict[str, object]:
    """Seconds an image, errors and, where tokens are known, the share found."""
    start = time.perf_counter()
    tokens = solver(f)
    seconds = (time.perf_counter() - start) / len(f)
    found = (
        {}
        if known is None
        else {
            "tokens_right": round(float((tokens == known).float().mean()), 4),
            "images_exact": round(float((tokens == known).all(1).float().mean()), 4),
        }
    )
    return {"seconds_an_image": round(seconds, 4), "mse": mse(quantizer, f, tokens), **found}


def compare(
    quantizer: MultiScaleQuantizer, f: Tensor, solvers: dict[str, Solver], known: Tensor | None
) -> dict[str, object]:
    """Every solver on the same features, and ``ep`` against the reference where that one took part."""
    rows = {name: measure(quantizer, f, solver, known) for name, solver in solvers.items()}
    errors = {name: row["mse"] for name, row in rows.items()}
    result: dict[str, object] = {
        name: {**row, "mse": float(f"{float(errors[name].mean()):.4g}")} for name, row in rows.items()
    }
    if "reference" in rows:
        ours, theirs = rows["ep"], rows["reference"]
        result["ep_to_reference"] = {
            "mse": round(float(errors["ep"].mean() / errors["reference"].mean()), 4),
            "seconds": round(ours["seconds_an_image"] / theirs["seconds_an_image"], 5),
            "share_of_images_at_least_as_low": float((errors["ep"] <= errors["reference"]).float().mean()),
        }
    return result


def solvers_for(quantizer: MultiScaleQuantizer, usage: Tensor | None, budgets: dict[str, Budget]) -> dict[str, Solver]:
    ours: dict[str, Solver] = {
        name: (lambda f, budget=budget: search(quantizer, f, budget, usage).tokens) for name, budget in budgets.items()
    }
    return {"greedy": lambda f: quantizer(f)[0], **ours}


def usage_of(quantizer: MultiScaleQuantizer, tokens: Tensor) -> Tensor:
    codes = len(quantizer.embedding.weight)
    return torch.stack([torch.bincount(part.flatten(), minlength=codes) for part in quantizer.split(tokens)])


def bench_mini(images: int, counted: int, weights: Path | None) -> None:
    """var-mini's own tokens and images; code usage counted over other images of it."""
    generator = load_generator(TARGET, weights_dir=weights)
    tokenizer, total = generator.tokenizer, images + counted
    classes = torch.arange(total) % get(TARGET).num_classes
    seeds = torch.arange(total)
    batches = zip(classes.split(64), seeds.split(64), strict=True)
    tokens = torch.cat([generator.sample(condition, seed.tolist()).tokens for condition, seed in batches])
    quantizer, known = tokenizer.quantizer, tokens[:images]
    usage = usage_of(quantizer, tokens[images:])
    start = time.perf_counter()
    search(quantizer, torch.zeros(1, *quantizer.lookup(known[:1]).shape[1:]), Budget(), usage)
    shared = time.perf_counter() - start
    budgets = {"modes": MODES_ONLY, "ep": Budget(), "ep_moves": Budget(moves=48)}
    solvers = solvers_for(quantizer, usage, budgets)
    clean = quantizer.lookup(known)
    greedy = float(mse(quantizer, clean, quantizer(clean)[0]).mean())
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    results: dict[str, object] = {"target": TARGET, "images": images, "seconds_shared": round(shared, 2)}
    with_reference = {**solvers, "reference": lambda f: reference(quantizer, f)}
    for level in NOISE:
        chosen = with_reference if level == 0 else solvers
        results[f"known_tokens_noise_{level}"] = compare(
            quantizer, clean + (level * greedy) ** 0.5 * noise, chosen, known
        )
    encoder = encoders(get(TARGET), weights)[-1]
    f = load_tokenizer(get(TARGET), encoder, weights).encode(tokenizer.decode(clean))
    results[f"own_images_{encoder}"] = compare(quantizer, f, with_reference, known)
    keep("token_search", results)


def bench_full(images: int, steps: int = 2) -> None:
    """Full geometry, random weights."""
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(4096, 32, (1, 2, 3, 4, 5, 6, 8, 10, 13, 16), 0.5, 4).requires_grad_(False).eval()
    quantizer.embedding.weight.mul_(0.3)
    known = torch.randint(4096, (images, sum(n * n for n in quantizer.patch_nums)))
    clean = quantizer.lookup(known)
    budget = Budget(iterations=8, moves=0)
    start = time.perf_counter()
    search(quantizer, clean[:1], budget)
    results: dict[str, object] = {
        "images": images,
        "seconds_shared_and_one_image": round(time.perf_counter() - start, 1),
    }
    solvers = solvers_for(quantizer, None, {"modes": MODES_ONLY, "ep": budget})
    results["known_tokens"] = compare(quantizer, clean, solvers, known)
    start = time.perf_counter()
    reference(quantizer, clean[:1], steps)
    seconds = (time.perf_counter() - start) / steps * ITERATIONS
    results["reference_seconds_an_image_extrapolated"] = round(seconds, 1)
    keep("token_search_full", results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--counted", type=int, default=512, help="generated images whose code usage is counted")
    parser.add_argument(
        "--weights", type=Path, default=None, help="folder of var-mini's files, if not the packaged ones"
    )
    parser.add_argument("--full", action="store_true", help="VAR's full geometry instead, with random weights")
    args = parser.parse_args()
    with torch.no_grad():
        if args.full:
            bench_full(args.images)
        else:
            bench_mini(args.images, args.counted, args.weights)


if __name__ == "__main__":
    main()
