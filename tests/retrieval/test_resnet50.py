"""The ResNet-50: torchvision's names and shapes, no max-pooling, and weights that fit or are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.retrieval.resnet50 import ResNet50, load_resnet50, resnet50_of


def torchvision_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor of torchvision's resnet50 but the classifier, by the rule its names follow."""

    def norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from ((f"{name}.{part}", (width,)) for part in ("weight", "bias", "running_mean", "running_var"))
        yield f"{name}.num_batches_tracked", ()

    yield "conv1.weight", (64, 3, 7, 7)
    yield from norm("bn1", 64)
    wide = 64
    for stage, (blocks, inner) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=1):
        for block in range(blocks):
            here = f"layer{stage}.{block}"
            for place, shape in enumerate([(inner, wide, 1, 1), (inner, inner, 3, 3), (4 * inner, inner, 1, 1)], 1):
                yield f"{here}.conv{place}.weight", shape
                yield from norm(f"{here}.bn{place}", shape[0])
            if block == 0:
                yield f"{here}.downsample.0.weight", (4 * inner, wide, 1, 1)
                yield from norm(f"{here}.downsample.1", 4 * inner)
            wide = 4 * inner


@pytest.fixture(scope="module")
def released() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator) * 0.02 for name, shape in torchvision_shapes()}
    for name in state:
        if name.endswith("running_var"):
            state[name] = torch.ones_like(state[name])
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
    return state | {"fc.weight": torch.zeros(1, 2048), "fc.bias": torch.zeros(1)}


def test_names_and_shapes_are_torchvision_s() -> None:
    ours = {name: tuple(value.shape) for name, value in ResNet50().state_dict().items()}
    assert ours == dict(torchvision_shapes())
    assert sum(value.numel() for value in ResNet50().parameters()) == 25_557_032 - 2048 * 1000 - 1000


def test_maxpool_is_gone_and_the_strides_are_not() -> None:
    network = ResNet50().eval()
    sizes: list[int] = []
    for name in ("conv1", "layer1", "layer2", "layer3", "layer4"):
        network.get_submodule(name).register_forward_hook(lambda module, given, out: sizes.append(out.shape[-1]))
    with torch.no_grad():
        assert network(torch.rand(1, 3, 64, 64)).shape == (1, 2048)
    assert sizes == [32, 32, 16, 8, 4]


def test_released_weights_load_bare_or_with_a_prefix(released: dict[str, Tensor], tmp_path: Path) -> None:
    old = {f"backbone.{name}": value for name, value in released.items() if not name.endswith("num_batches_tracked")}
    torch.save({"state_dict": old}, tmp_path / "lida.pth")
    for state in (load_resnet50(tmp_path / "lida.pth").state_dict(), resnet50_of(released, "bare").state_dict()):
        assert all(torch.equal(state[name], released[name]) for name in state if not name.endswith("tracked"))


def test_wrong_weights_are_refused_in_one_line(released: dict[str, Tensor], tmp_path: Path) -> None:
    def refused(state: dict[str, Tensor]) -> str:
        with pytest.raises(UserError) as caught:
            resnet50_of(state, "lida.pth")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no tensor of a ResNet-50" in refused({f"disc.{name}": value for name, value in released.items()})
    assert "no tensor of a ResNet-50" in refused({"fc.weight": torch.zeros(1, 2048)})
    assert "missing conv1.weight" in refused({name: v for name, v in released.items() if name != "conv1.weight"})
    assert "unexpected head.weight" in refused(released | {"head.weight": torch.zeros(1)})
    nine = {"conv1.weight": torch.zeros(64, 9, 7, 7)}
    assert "has shape (64, 9, 7, 7), wanted (64, 3, 7, 7)" in refused(released | nine)
    with pytest.raises(UserError, match="no weight file"):
        load_resnet50(tmp_path / "none.pth")
