"""What the encoders of each mini read of its own images, beside mirrored copies of them and photographs.

    python benchmarks/bench_inverse.py [--images N]

``error``: mean square of the encoder's features minus those the images were decoded from. ``quantisation``: what the
nearest codes leave of a photograph's features. An encoder can only tell where its error is the smaller one.
``tokens``: share of the true tokens found, by the quantiser and by the search. AUROC of every score of QuantLoss: own
images against their mirror images, which have the same content, and against photographs; ``descent``: of
quantloss-descent, on the first 40 of each, for inverse encoders. The images are made here under seeds that no inverse
encoder has seen.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from common import keep, minis, three_digits
from torch import Tensor

from iarbench.content import images_path
from iarbench.detector import mse
from iarbench.detectors.descent import QuantLossDescent
from iarbench.detectors.quantloss import QuantLoss, searches
from iarbench.evidence import Evidence, Target
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.models import variants
from iarbench.models.loading import load_generator, load_target
from iarbench.models.sample_images import make_records
from iarbench.models.weights import encoders
from iarbench.stats.metrics import auroc
from iarbench.stats.thresholds import Scores

DESCENT_IMAGES = 40  # half a second an image


def pixels(records: list[ImageRecord]) -> Tensor:
    """Images float (N, 3, S, S) in [0, 1]."""
    return torch.stack([torch.from_numpy(np.array(r.pil())).permute(2, 0, 1) for r in records]).float() / 255


def photographs() -> Tensor:
    packaged = ImageSet.open(images_path("iarbench-mini")).filter(source="flickr", split="test")
    return pixels([record for batch in packaged.iterate() for record in batch])


def compare(target: Target, own: Tensor, tokens: Tensor, photos: Tensor) -> dict[str, object]:
    sides = {
        name: Evidence(target, images) for name, images in (("own", own), ("mirror", own.flip(-1)), ("photos", photos))
    }
    scores = {name: QuantLoss().score(evidence) for name, evidence in sides.items()}
    if target.encoder == "inverse":
        for name, evidence in sides.items():
            few = Evidence(target, evidence.images[:DESCENT_IMAGES])
            scores[name]["descent"] = QuantLossDescent().score(few)[QuantLossDescent.name]
    truth = target.tokenizer.lookup(tokens)
    found = {"quantiser": sides["own"].quantized.tokens}
    if searches(sides["own"]):
        found["search"] = sides["own"].searched(QuantLoss.solver).tokens
    return {
        "error": three_digits(mse(sides["own"].f, truth).mean()),
        "quantisation": three_digits(mse(sides["photos"].f, sides["photos"].quantized.features).mean()),
        "greedy_error_of_the_truth": three_digits(mse(truth, target.tokenizer.quantize(truth).features).mean()),
        "tokens": {name: three_digits((ids == tokens).float().mean()) for name, ids in found.items()},
        "auroc": {
            against: {
                name: round(auroc(Scores.of(values.numpy()), Scores.of(scores[against][name].numpy())).value, 3)
                for name, values in scores["own"].items()
            }
            for against in ("mirror", "photos")
        },
    }


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    args = parser.parse_args()
    photos, results = photographs(), dict[str, object]()
    for name in minis():
        variant = variants.get(name)
        records = make_records(load_generator(name), name, "unseen", args.images, variant.every_condition)
        made = list(records)
        own, tokens = pixels(made), torch.tensor([record.tokens for record in made])
        for encoder in encoders(variant):
            results[f"{name}/{encoder}"] = compare(load_target(name, encoder), own, tokens, photos)
    keep("inverse", {"images": args.images, "photographs": len(photos), **results})


if __name__ == "__main__":
    main()
