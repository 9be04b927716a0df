"""One training step of infinity-mini with the prompts of a batch read together, against one by one.

On a CPU processor time is taken, which other work on the machine hardly changes.

python benchmarks/bench_text.py [--batch N]
"""

from __future__ import annotations

import argparse
import time

import torch
from common import keep

from iarbench.models.loading import load_generator
from iarbench.models.variants import get
from iarbench.training.precision import mixed
from iarbench.training.transformer import captions

ROUNDS = 5


def main() -> None:
    """Measure in turn, keep the best of a few, and store the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    batch = parser.parse_args().batch
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    variant = get("infinity-mini")
    generator = load_generator(variant.name, str(device))
    model = generator.transformer.train().requires_grad_(True)
    torch.manual_seed(0)
    with torch.no_grad():
        features = generator.tokenizer.encode(torch.rand(batch, 3, 64, 64, device=device))
        tokens = generator.tokenizer.quantize(features).tokens
    prompts = captions(torch.randint(len(variant.classes or ()), (batch,)), variant.classes or ())

    clock = time.perf_counter if device.type == "cuda" else time.process_time

    def step(together: bool) -> float:
        model.text_encoder.train(together)
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = clock()
        with mixed(device):
            loss = generator.training_loss(tokens, prompts, features)
        model.zero_grad(set_to_none=True)
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - began

    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS):
        for together, found in times.items():
            found.append(step(together))
    best, alone = min(times[True]), min(times[False])
    numbers: dict[str, object] = {"batch": batch, "device": device.type, "distinct_prompts": len(set(prompts))}
    numbers |= {"together_ms": round(1000 * best, 1), "one_by_one_ms": round(1000 * alone, 1)}
    keep("text", {**numbers, "ratio_one_by_one_to_together": round(alone / best, 2)})


if __name__ == "__main__":
    main()
