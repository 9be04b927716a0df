"""Images per second of full-size QuantLoss beside the bare encoder: one variant per family, both precisions, compiled.

    python benchmarks/bench_full_size.py [--device cuda] [--images N] [--batch-size N] [--variant NAME ...]

Weights and images are random: neither changes the work. Needs a CUDA device; ``--device cpu --images 2 --variant NAME``
shows that it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

import torch
from common import keep

from iarbench.detector import Scored, apply
from iarbench.detectors.quantloss import QuantLoss
from iarbench.device import Precision
from iarbench.errors import UserError
from iarbench.evidence import Evidence, Target
from iarbench.harness.batches import batch_size, be_exact
from iarbench.harness.compiling import compile_passes
from iarbench.harness.execute import decide
from iarbench.harness.plan import Settings
from iarbench.models.loading import build_tokenizer
from iarbench.models.variants import get

VARIANTS = ("llamagen-b-256", "var-d16", "rar-b", "taming-cin", "infinity-2b")
WAYS: tuple[tuple[str, Precision, bool], ...] = (
    ("float32", "float32", False),
    ("bfloat16", "bfloat16", False),
    ("float32_compiled", "float32", True),
    ("bfloat16_compiled", "bfloat16", True),
)


def random_target(name: str, device: str) -> Target:
    """The variant's tokenizer with random weights, as a run would hold it."""
    torch.manual_seed(0)
    variant = get(name)
    tokenizer = build_tokenizer(variant).eval().requires_grad_(False).to(device)
    tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stubs lack it
    return Target(name, variant.family, "original", tokenizer, "random", variant.image_size)


def speed(work: Callable[[], object], device: str, size: int, images: int) -> float:
    """Images a second of ``work``, which does ``size`` of them, over at least ``images``, after one warm-up."""
    work()
    _wait(device)
    start = time.perf_counter()
    times = -(-images // size)
    for _ in range(times):
        work()
    _wait(device)
    return times * size / (time.perf_counter() - start)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def measure(name: str, settings: Settings, images: int) -> dict[str, object]:
    """QuantLoss and the bare encoder, every way."""
    device = settings.device
    size = min(images, batch_size(settings, get(name).image_size))
    found: dict[str, object] = {"image_size": get(name).image_size, "batch_size": size}
    for way, precision, compiled in WAYS:
        if compiled and not settings.compile:
            continue
        torch._dynamo.reset()
        target = random_target(name, device)
        batch = torch.rand(size, target.image_size, target.image_size, 3, device=device).permute(0, 3, 1, 2)

        def evidence(
            target: Target = target, batch: torch.Tensor = batch, precision: Precision = precision
        ) -> Evidence:
            return Evidence(target, batch, precision=precision)

        def encode(evidence: Callable[[], Evidence] = evidence) -> torch.Tensor:
            return evidence().f

        def quantloss(evidence: Callable[[], Evidence] = evidence) -> Scored:
            return apply(QuantLoss(), evidence())

        bare = speed(encode, device, size, images)
        if compiled:
            compile_passes(target, encode)
        ours = speed(quantloss, device, size, images)
        found[way] = {
            "quantloss_images_per_second": round(ours, 2),
            "bare_encoder_images_per_second": round(bare, 2),
            "ratio": round(ours / bare, 3),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--variant", action="append", help=f"default: {', '.join(VARIANTS)}")
    parser.add_argument("--no-compile", action="store_true", help="leave out the compiled ways, which take minutes")
    args = parser.parse_args()
    try:
        settings = decide(Settings(device=args.device, batch_size=args.batch_size, compile=not args.no_compile))
    except UserError as error:
        sys.exit(f"error: {error}")
    be_exact()
    results = {name: measure(name, settings, args.images) for name in args.variant or VARIANTS}
    if settings.device == "cpu":
        print(json.dumps(results, indent=1))  # a trial, not a result to keep
    else:
        keep("full_size", {"gpu": torch.cuda.get_device_name(settings.device), "images": args.images, **results})


if __name__ == "__main__":
    main()
