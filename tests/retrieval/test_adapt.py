"""Few-shot adaptation: losses by hand, training that lowers them, the same every time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from iarbench.errors import UserError
from iarbench.retrieval.adapt import Recipe, adapt, centre_loss, moved, prototype_of, real_loss
from iarbench.retrieval.encoders import Encoder, load_encoder
from iarbench.retrieval.source import Source


def gallery(count: int = 4) -> tuple[list[np.ndarray], list[str], list[bool]]:
    """Three classes of images that differ in their low bits."""
    rng = np.random.default_rng(0)
    steps = {"one": 1, "two": 2, "photo": 4}
    pixels = [
        (rng.integers(0, 256 // step, (32, 32, 3)) * step).astype(np.uint8)
        for step in steps.values()
        for _ in range(count)
    ]
    labels = [label for label in steps for _ in range(count)]
    return pixels, labels, [label == "photo" for label in labels]


def test_centre_loss_by_hand() -> None:
    features, centres = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert centre_loss(features, centres).item() == (5 + 25) / 2


def test_centres_move_by_hand() -> None:
    centres, features = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[3.0, 0.0], [6.0, 3.0]])
    after = moved(centres, features, torch.tensor([0, 0]), 0.5)
    # 0 - .5 * ((0 - 3) + (0 - 6)) / (1 + 2) and .5 * 3 / 3; the other class has no image and stays
    assert after.tolist() == [[1.5, 0.5], [1.0, 1.0]]


def test_real_loss_by_hand() -> None:
    prototype = torch.tensor([2.0, 0.0])
    features = torch.tensor([[5.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])  # cosines 1, 0, -1
    found = real_loss(features, torch.tensor([True, False, False]), prototype, 0.5)
    log_sigmoid = [-math.log(1 + math.exp(-x)) for x in (2.0, 0.0, 2.0)]  # 1 - sigmoid(x) is sigmoid(-x)
    assert found.item() == pytest.approx(-log_sigmoid[0] - (log_sigmoid[1] + log_sigmoid[2]) / 2, abs=1e-6)
    fakes = real_loss(features[1:], torch.tensor([False, False]), prototype, 0.5)
    assert fakes.item() == pytest.approx(-(log_sigmoid[1] + log_sigmoid[2]) / 2, abs=1e-6)


def test_adaptation_lowers_the_loss_and_leaves_the_original_alone() -> None:
    encoder = load_encoder(Source())
    before = encoder.digest
    adapted, history = adapt(encoder, *gallery(), Recipe(epochs=12, batch=5))
    assert len(history) == 12
    assert history[-1] < 0.9 * history[0]
    assert encoder.digest == before
    assert adapted.digest != before
    assert adapted.prototype is not None
    assert encoder.prototype is not None
    assert torch.equal(adapted.prototype, encoder.prototype)
    statistics = [name for name in encoder.network.state_dict() if "running" in name or "tracked" in name]
    kept = encoder.network.state_dict(), adapted.network.state_dict()
    assert statistics
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in statistics)


def test_adaptation_is_the_same_every_time() -> None:
    encoder, recipe = load_encoder(Source()), Recipe(epochs=3, batch=5)
    first, torch_state = adapt(encoder, *gallery(), recipe)[0], torch.get_rng_state()
    torch.manual_seed(99)
    assert adapt(encoder, *gallery(), recipe)[0].digest == first.digest
    torch.set_rng_state(torch_state)
    assert adapt(encoder, *gallery(), Recipe(epochs=3, batch=5, seed=1))[0].digest != first.digest


def test_weights_without_a_prototype_take_the_gallery_s_real_images() -> None:
    packaged = load_encoder(Source())
    bare = Encoder(packaged.source, packaged.network, None)
    pixels, labels, real = gallery(2)
    assert torch.equal(prototype_of(bare, pixels, real), bare.features(pixels[-2:]).mean(0))
    adapted, _ = adapt(bare, pixels, labels, real, Recipe(epochs=1))
    assert adapted.prototype is not None
    assert torch.equal(adapted.prototype, bare.features(pixels[-2:]).mean(0))
    with pytest.raises(UserError, match="the gallery needs real images"):
        adapt(bare, pixels[:4], labels[:4], real[:4], Recipe(epochs=1))


def test_images_of_several_sizes_are_refused() -> None:
    pixels, labels, real = gallery(1)
    with pytest.raises(UserError, match="of one size"):
        adapt(load_encoder(Source()), [*pixels[:2], pixels[2][:20]], labels, real)
