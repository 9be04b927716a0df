from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from iarbench.detectors.inversion import GROUP, distinct, losses_while_inverting
from iarbench.detectors.latenttracer import LatentTracer, iclr, official
from iarbench.detectors.ronan import Ronan, starts
from iarbench.device import resolve_device
from iarbench.errors import UserError
from iarbench.evidence import Evidence, Target
from iarbench.harness.plan import Settings
from iarbench.harness.targets import load_targets
from iarbench.models import variants
from iarbench.testing import ToyTokenizer, check_detector, toy_images, toy_target
from iarbench.tokenizer import Quantized


def adam(matrix: np.ndarray, wanted: np.ndarray, start: np.ndarray, rates: list[float], clamp: bool = False) -> list:
    """Losses before each step of Adam on z in mean((matrix z - wanted)^2), written out in float64."""
    z, m, v, losses = start.astype(np.float64), 0.0, 0.0, []
    for step, rate in enumerate(rates, start=1):
        made = matrix @ z
        inside = (made >= 0) & (made <= 1) if clamp else 1.0
        off = (made.clip(0, 1) if clamp else made) - wanted
        losses.append(float((off**2).mean()))
        gradient = 2 / len(wanted) * matrix.T @ (off * inside)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        z = z - rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return losses


class Linear(ToyTokenizer):
    """Pixels (3 x 2 x 2) as a matrix times features (2 x 1 x 1)."""

    def __init__(self) -> None:
        super().__init__({"cell": 2}, 2)
        self.matrix = nn.Parameter(torch.randn(12, 2, generator=torch.Generator().manual_seed(1)))

    def encode_native(self, images: Tensor) -> Tensor:
        return (images.flatten(1) @ self.matrix)[:, :, None, None]

    def decode_native(self, features: Tensor) -> Tensor:
        return (features.flatten(1) @ self.matrix.T).unflatten(1, (3, 2, 2))

    def quantize(self, features: Tensor) -> Quantized:
        return Quantized(features.flatten(1).long(), features.round())


@pytest.fixture
def linear() -> Target:
    return Target("linear", "toy", "original", Linear(), "0" * 64, 2)


def random_images(count: int, side: int = 2) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(2))


def test_losses_are_those_of_adam_written_out(linear: Target) -> None:
    tokenizer, images = linear.tokenizer, random_images(GROUP + 1)
    start, rates = torch.ones(GROUP + 1, 2, 1, 1), [0.1] * 20 + [0.01] * 10
    found = losses_while_inverting(tokenizer.decode_unclamped, images, start, rates)
    matrix = tokenizer.matrix.detach().double().numpy()
    expected = [adam(matrix, one.double().numpy(), np.ones(2), rates) for one in images.flatten(1)]
    assert found.numpy() == pytest.approx(np.array(expected), rel=1e-4)
    assert tokenizer.matrix.grad is None


def test_the_official_latenttracer_halves_after_steps_0_and_50_and_clamps(linear: Target) -> None:
    images = random_images(3)
    start = torch.full((3, 2, 1, 1), 0.4)
    rates = [0.05] + 50 * [0.025] + 49 * [0.0125]
    matrix = linear.tokenizer.matrix.detach().double().numpy()
    expected = [
        min(adam(matrix, one.double().numpy(), np.full(2, 0.4), rates, clamp=True)) for one in images.flatten(1)
    ]
    assert official(linear.tokenizer, images, start).tolist() == pytest.approx(expected, rel=1e-4)


def test_the_port_of_latenttracer_halves_after_50_steps_and_reports_the_last_loss(linear: Target) -> None:
    images = random_images(3)
    start = torch.full((3, 2, 1, 1), 0.4)
    rates = 50 * [0.01] + 50 * [0.005]
    matrix = linear.tokenizer.matrix.detach().double().numpy()
    expected = [adam(matrix, one.double().numpy(), np.full(2, 0.4), rates)[-1] for one in images.flatten(1)]
    assert iclr(linear.tokenizer, images, start).tolist() == pytest.approx(expected, rel=1e-4)


def test_latenttracer_starts_at_the_quantised_features(linear: Target) -> None:
    images = random_images(3)
    evidence = Evidence(linear, images)
    start = linear.tokenizer.encode(images).round().detach()
    assert torch.equal(LatentTracer().score(evidence)["latenttracer"], -official(linear.tokenizer, images, start))
    assert torch.equal(LatentTracer("iclr").score(evidence)["latenttracer"], -iclr(linear.tokenizer, images, start))


def test_ronan_takes_the_lowest_loss_of_restarts_and_steps(linear: Target) -> None:
    images, steps = random_images(2), 15
    _, _, contents = distinct(images)
    start = starts(contents, 3, (2, 1, 1)).double().numpy()
    matrix = linear.tokenizer.matrix.detach().double().numpy()
    losses = np.array(
        [
            [adam(matrix, one.double().numpy(), start[3 * i + r].ravel(), [0.1] * steps) for r in range(3)]
            for i, one in enumerate(images.flatten(1))
        ]
    )
    by = {how: Ronan(steps, 0.1, 3, how).score(Evidence(linear, images))["plain"] for how in ("min", "mean")}
    assert (-by["min"]).tolist() == pytest.approx(losses.min((1, 2)), rel=1e-4)
    assert (-by["mean"]).tolist() == pytest.approx(losses.mean(1).min(1), rel=1e-4)


def test_ronans_starts_are_standard_normal_and_follow_from_the_image_alone() -> None:
    contents = [bytes([number]) * 32 for number in range(40)]
    many = starts(contents, 2, (4, 8, 8))
    assert float(many.mean()) == pytest.approx(0, abs=0.02)
    assert float(many.std()) == pytest.approx(1, abs=0.02)
    assert torch.equal(starts(contents[5:6], 2, (4, 8, 8)), many[10:12])
    assert len({tuple(one.flatten().tolist()) for one in many}) == 80


def test_copies_that_fill_a_batch_are_inverted_once() -> None:
    a, b = random_images(2)
    first, place, contents = distinct(torch.stack([a, b, a, b, b]))
    assert (first, place, len(set(contents))) == ([0, 1], [0, 1, 0, 1, 1], 2)


@pytest.mark.parametrize("detector", [Ronan(steps=20), pytest.param(LatentTracer(), marks=pytest.mark.long)])
def test_keeps_what_every_detector_promises(detector: Ronan | LatentTracer) -> None:
    check_detector(detector)


def test_ronan_divides_by_the_complexity_of_the_image() -> None:
    from iarbench.detectors.texture import entropy_2d

    pixels = toy_images(3, 5, None)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    found = Ronan(steps=5).score(Evidence(toy_target(), images))
    assert (found["plain"] / found["ronan"]).tolist() == pytest.approx([entropy_2d(one) for one in pixels], rel=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"steps": 0}, "steps is 0"), ({"restarts": -1}, "restarts is -1"), ({"lr": 0.0}, "lr is 0")],
)
def test_ronan_refuses_what_cannot_be_meant(values: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Ronan(**values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rar() -> Target:
    settings = Settings(device=resolve_device("cpu"))
    return next(iter(load_targets([(variants.get("rar-mini"), "original", False)], settings).values()))


def test_of_a_real_decoder_the_loss_falls_and_no_image_moves_another(rar: Target) -> None:
    torch.set_num_threads(1)
    images, detector = random_images(5, side=64), Ronan(steps=5)
    together = detector.score(Evidence(rar, torch.cat([images, images[-1:].expand(11, -1, -1, -1)])))
    alone = detector.score(Evidence(rar, images[1:2]))
    back = detector.score(Evidence(rar, images.flip(0)))
    for name, values in together.items():
        assert torch.equal(values[1:2], alone[name])
        assert torch.equal(values[:5].flip(0), back[name])
        assert values[4:].unique().numel() == 1
    start = rar.tokenizer.quantize(rar.tokenizer.encode(images[:4])).features
    losses = losses_while_inverting(rar.tokenizer.decode, images[:4], start, [0.05] * 4)
    assert bool((losses[:, -1] < losses[:, 0]).all())
