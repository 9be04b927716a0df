"""The small encoder for 64 px fingerprints: a ResNet without early pooling."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

STEM = 16
"""Channels after the first convolution."""
WIDTHS = (32, 64, 128)
"""Channels after each block. The last is the length of a feature."""


class SmallResNet(nn.Module):
    """Fingerprints float32 (B, C, H, W) in [0, 1] to features float32 (B, 128).

    The first convolution has stride 2 and no pooling follows it, like LIDA's ResNet-50: pooling would lose low bits.
    Every block halves the map once more.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, STEM, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.stages = nn.Sequential(*(Block(*widths) for widths in pairwise((STEM, *WIDTHS))))

    def forward(self, maps: Tensor) -> Tensor:
        """Features, one per map."""
        hidden = functional.relu(self.bn1(self.conv1(maps * 2 - 1)))
        features: Tensor = self.stages(hidden).mean(dim=(2, 3))
        return features


class Block(nn.Module):
    """Two 3 x 3 convolutions, the first with stride 2, beside a 1 x 1 convolution."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide))

    def forward(self, hidden: Tensor) -> Tensor:
        """The next map, half as large."""
        inner = functional.relu(self.bn1(self.conv1(hidden)))
        out: Tensor = functional.relu(self.bn2(self.conv2(inner)) + self.shortcut(hidden))
        return out
