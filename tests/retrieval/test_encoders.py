"""What an encoder sees of an image, and the features it gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from iarbench.detectors.lida import Lida
from iarbench.errors import UserError
from iarbench.retrieval.encoders import Encoder, load_encoder, packaged_path
from iarbench.retrieval.fingerprint import channels, fingerprint, full_map
from iarbench.retrieval.small_resnet import SmallResNet
from iarbench.retrieval.source import KINDS, PACKAGED, Source
from iarbench.retrieval.tiles import patch_map

DIGESTS = {"binary": "d9a75949f6fd18b4", "levels": "583af55a9ba48f7f", "planes": "36b8d0e06f976a70"}


def test_a_resnet_sees_the_map_or_a_tile_of_it() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    whole = full_map(pixels, "levels")
    expected = {"full": whole, "patch-max": patch_map(whole, "max"), "patch-min": patch_map(whole, "min")}
    for mode, found in expected.items():
        encoder = Encoder(Source("levels", mode, "lida.pth"), nn.Identity(), None)  # type: ignore[arg-type]
        maps = encoder.maps([pixels])
        assert torch.equal((maps[0] * 255).round().permute(1, 2, 0), torch.from_numpy(found).float())


@pytest.mark.parametrize("kind", KINDS)
def test_the_packaged_encoders_load_and_are_small(kind: str) -> None:
    encoder = load_encoder(Source(kind))  # type: ignore[arg-type]
    assert isinstance(encoder.network, SmallResNet)
    assert encoder.network.conv1.weight.shape[1] == channels(kind)  # type: ignore[arg-type]
    assert encoder.prototype is not None
    assert encoder.prototype.shape == (128,)
    assert packaged_path(kind).stat().st_size < 2e6  # type: ignore[arg-type]
    with pytest.raises(UserError, match="small encoder sees the whole fingerprint"):
        load_encoder(Source(kind, "patch-max"))  # type: ignore[arg-type]


def test_features_depend_on_the_image_alone() -> None:
    encoder = load_encoder(Source())
    assert encoder.source.weights == PACKAGED
    pixels = list(np.random.default_rng(1).integers(0, 256, (18, 64, 64, 3), dtype=np.uint8))
    pixels.insert(3, np.zeros((40, 72, 3), np.uint8))
    together = encoder.features(pixels)
    assert together.shape == (19, 128)
    for place in (0, 3, 18):
        assert torch.equal(encoder.features([pixels[place]])[0], together[place])


def test_only_the_low_bits_count() -> None:
    encoder = load_encoder(Source("planes"))
    pixels = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert torch.equal(encoder.features([pixels]), encoder.features([pixels & 7]))
    assert not torch.equal(encoder.features([pixels]), encoder.features([pixels ^ 1]))
    seen = (encoder.maps([pixels])[0] * 255).round().permute(1, 2, 0)
    assert torch.equal(seen, torch.from_numpy(fingerprint(pixels, "planes")).float())


def test_other_packaged_weights_are_another_version() -> None:
    """Scores are stored under the detector's version: raise it in iarbench/detectors/lida.py with these."""
    assert Lida.version == 2
    assert {kind: load_encoder(Source(kind)).digest[:16] for kind in KINDS} == DIGESTS
