"""Transformer sampling with the key-value cache against recomputing every position."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from common import keep

from iarbench.loading import load_generator
from iarbench.nn.sampling import Streams, filter_logits

BATCH = 32


def without_cache(generator: object, classes: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    """LlamaGen sampling as the textbook has it: the whole sequence anew at each step."""
    model, settings = generator.transformer, generator.sampling  # type: ignore[attr-defined]
    both = torch.cat([classes, torch.full_like(classes, model.null_class)])
    streams, tokens = Streams(seeds), classes.new_empty(len(classes), 0)
    for _ in range(model.length):
        cond, null = model.step(tokens.repeat(2, 1), both, 0, None)[:, -1].chunk(2)
        guided = null + (cond - null) * settings["cfg_scale"]
        filtered = filter_logits(guided, settings["temperature"], settings["top_k"], settings["top_p"])
        tokens = torch.cat([tokens, streams.draw(filtered)[:, None]], dim=1)
    return tokens


def seconds(work: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    """The best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


@torch.inference_mode()
def main() -> None:
    generator = load_generator("llamagen-mini")
    classes, seeds = torch.arange(BATCH) % 32, list(range(BATCH))
    cached, tokens = seconds(lambda: generator.sample_tokens(classes, Streams(seeds), **generator.sampling))
    plain, same = seconds(lambda: without_cache(generator, classes, seeds))
    keep(
        "sampling",
        {
            "generator": "llamagen-mini",
            "batch": BATCH,
            "cached_ms_per_image": round(1000 * cached / BATCH, 2),
            "uncached_ms_per_image": round(1000 * plain / BATCH, 2),
            "ratio_uncached_to_cached": round(plain / cached, 2),
            "share_of_tokens_equal": round((tokens == same).float().mean().item(), 4),
        },
    )


if __name__ == "__main__":
    main()
