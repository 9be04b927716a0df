"""ResNet-50 without max-pooling, as LIDA uses it, under torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from iarbench.errors import UserError
from iarbench.nn.checkpoint import load_released, read_state

BLOCKS = (3, 4, 6, 3)


class ResNet50(nn.Module):
    """Maps float32 (B, C, H, W) to features float32 (B, 2048), the mean over the last map.

    He et al. 2016 with the stride on the 3 x 3 convolution of a block, as in torchvision. Maps are normalised by the
    mean and deviation of ImageNet's *pixels*, as in LIDA's code, although they are fingerprints; nine channels take
    each three times, since bits come colour by colour.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        wide = 64
        for stage, count in enumerate(BLOCKS):
            inner = 64 * 2**stage
            blocks = [Bottleneck(wide, inner, 2 if stage else 1)]
            wide = 4 * inner
            blocks += [Bottleneck(wide, inner, 1) for _ in range(count - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.register_buffer("mean", _colours((0.485, 0.456, 0.406), channels), persistent=False)
        self.register_buffer("deviation", _colours((0.229, 0.224, 0.225), channels), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Features, one per map in [0, 1]."""
        hidden = (maps - self.get_buffer("mean")) / self.get_buffer("deviation")
        hidden = functional.relu(self.bn1(self.conv1(hidden)))
        for stage in range(len(BLOCKS)):
            hidden = self.get_submodule(f"layer{stage + 1}")(hidden)
        return hidden.mean(dim=(2, 3))

    @staticmethod
    def released_key(name: str) -> str | None:
        """Our name of a released tensor; None for the classifier, which retrieval does not use."""
        own = name.removeprefix("backbone.")
        return None if own.startswith("fc.") else own


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolution beside a shortcut."""

    def __init__(self, wide: int, inner: int, stride: int) -> None:
        super().__init__()
        out = 4 * inner
        self.conv1 = nn.Conv2d(wide, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if stride != 1 or wide != out:
            self.downsample = nn.Sequential(nn.Conv2d(wide, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, hidden: Tensor) -> Tensor:
        """The next map."""
        inner = functional.relu(self.bn1(self.conv1(hidden)))
        inner = functional.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        out: Tensor = functional.relu(inner + (hidden if self.downsample is None else self.downsample(hidden)))
        return out


def load_resnet50(path: Path, channels: int = 3) -> ResNet50:
    """The network with weights of a file: keys are torchvision's, bare or all after ``backbone.``; ``fc.`` is skipped.

    The released code drops keys it does not know without a word, and then computes with plain ImageNet weights.

    Raises:
        UserError: no weight file, or as `resnet50_of`.
    """
    return resnet50_of(read_state(path, wrappers=("state_dict", "model", "model_state_dict")), str(path), channels)


def resnet50_of(released: Mapping[str, Tensor], origin: str, channels: int = 3) -> ResNet50:
    """The network with released tensors; ``origin`` is what messages call where they came from.

    Raises:
        UserError: no key that matches, or tensors that are missing, unknown or of another shape.
    """
    state, network = dict(released), ResNet50(channels)
    known = network.state_dict().keys()
    if not any(network.released_key(name) in known for name in state):
        some = ", ".join(sorted(state)[:3])
        raise UserError(
            f"{origin} has no tensor of a ResNet-50 (it has {some}); keys must be torchvision's, such as "
            "layer1.0.conv1.weight or backbone.layer1.0.conv1.weight"
        )
    for name, tensor in network.state_dict().items():  # files from before PyTorch 0.4.1 lack these counters
        if name.endswith("num_batches_tracked"):
            prefix = "backbone." if f"backbone.{name.rpartition('.')[0]}.weight" in state else ""
            state.setdefault(prefix + name, tensor)
    load_released(network, state, origin)
    return network.eval()


def _colours(values: tuple[float, float, float], channels: int) -> Tensor:
    from torch import tensor

    return tensor(values).repeat_interleave(channels // 3).reshape(1, channels, 1, 1)
