"""The VQGAN convolutional autoencoder that LlamaGen, VAR, Taming and Infinity share.

Module names follow the VQGAN release (``encoder.down.0.block.0.conv1``); families whose checkpoints name the same
tensors otherwise rename them on loading (:func:`iarbench.nn.checkpoint.rename`). MaskGIT's variant, which RAR uses,
differs in its arithmetic and lives with RAR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.nn.inplace import plus, silu


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Sizes of one encoder or decoder.

    ``attention_levels`` are indices into ``ch_mult`` (0 = full resolution) that get self-attention after each
    residual block. ``fused_qkv`` says whether a checkpoint keeps query, key and value in one 1x1 convolution.
    ``halvings`` is how many levels, from 0 on, end at half the side (None: all but the last).
    ``silu_as_product`` computes SiLU as x * sigmoid(x), whose rounding differs from the fused form: official code that
    does so is matched to the last bit, and an encoder applied twice amplifies the difference to 1.6e-4 otherwise.
    """

    ch: int
    ch_mult: tuple[int, ...]
    num_res_blocks: int
    z_channels: int
    in_channels: int = 3
    attention_levels: frozenset[int] = frozenset()
    mid_attention: bool = True
    fused_qkv: bool = False
    norm_groups: int = 32
    norm_eps: float = 1e-6
    silu_as_product: bool = False
    halvings: int | None = None

    def silu(self, x: Tensor) -> Tensor:
        """The activation, computed the way the family's official code does; ``x`` is used up."""
        return silu(x, self.silu_as_product)

    def norm(self, channels: int) -> nn.GroupNorm:
        """The group norm over ``channels``; the releases fall back to 24 groups where theirs do not divide them."""
        groups = self.norm_groups if channels % self.norm_groups == 0 else 24
        return nn.GroupNorm(groups, channels, eps=self.norm_eps)

    def resized(self, sizes: Mapping[str, Any]) -> AutoencoderConfig:
        """The same with some other ``sizes``: a decoder may be smaller than its encoder. {} changes nothing."""
        return replace(self, **{**sizes, "ch_mult": tuple(sizes.get("ch_mult", self.ch_mult))})

    @property
    def resampled_levels(self) -> int:
        """How many levels end with a change of resolution."""
        return len(self.ch_mult) - 1 if self.halvings is None else self.halvings

    @property
    def downsampling(self) -> int:
        """Side of the image over side of the feature map."""
        return int(2**self.resampled_levels)


class ResBlock(nn.Module):
    """norm, SiLU, 3x3, norm, SiLU, 3x3 plus the input, which a 1x1 convolution widens where channels change."""

    def __init__(self, c_in: int, c_out: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.silu = config.silu
        self.norm1 = config.norm(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2 = config.norm(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        if c_in != c_out:
            self.nin_shortcut = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(self.silu(self.norm1(x)))
        h = self.conv2(self.silu(self.norm2(h)))
        return plus(h, self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class SpatialAttention(nn.Module):
    """Single-head self-attention over all positions of a feature map."""

    def __init__(self, channels: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.norm = config.norm(channels)
        if config.fused_qkv:
            self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        else:
            self.q, self.k, self.v = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = self.qkv(h).chunk(3, dim=1) if hasattr(self, "qkv") else (self.q(h), self.k(h), self.v(h))
        q, k, v = (t.flatten(2) for t in (q, k, v))  # (B, C, h*w)
        # Written out rather than fused: the fused kernel's other order of sums moves float32 results five times as far.
        weights = (torch.bmm(q.transpose(1, 2), k) * q.shape[1] ** -0.5).softmax(dim=2)
        return x + self.proj_out(torch.bmm(v, weights.transpose(1, 2)).reshape_as(x))


class Downsample(nn.Module):
    """Halves the side: one zero row and column at the right and bottom, then a strided 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles the side: nearest neighbour, then a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Middle(nn.Module):
    """Residual block, optional attention, residual block at the lowest resolution."""

    def __init__(self, channels: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels, config)
        if config.mid_attention:
            self.attn_1 = SpatialAttention(channels, config)
        self.block_2 = ResBlock(channels, channels, config)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block_1(x)
        return self.block_2(self.attn_1(x) if hasattr(self, "attn_1") else x)


class Level(nn.Module):
    """The residual blocks of one resolution, each followed by attention where the level has it."""

    def __init__(self, c_in: int, c_out: int, depth: int, attention: bool, config: AutoencoderConfig) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResBlock(c_in if i == 0 else c_out, c_out, config) for i in range(depth))
        self.attn = nn.ModuleList(SpatialAttention(c_out, config) for _ in range(depth if attention else 0))

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[i](x)
        for resample in (getattr(self, "downsample", None), getattr(self, "upsample", None)):
            x = x if resample is None else resample(x)
        return x


class Encoder(nn.Module):
    """Image (B, in_channels, H, W) to features (B, z_channels, H/f, W/f), f = ``config.downsampling``."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.silu = config.silu
        self.conv_in = nn.Conv2d(config.in_channels, config.ch, 3, padding=1)
        self.down = nn.ModuleList()
        channels = config.ch
        for i, mult in enumerate(config.ch_mult):
            width = config.ch * mult
            level = Level(channels, width, config.num_res_blocks, i in config.attention_levels, config)
            if i < config.resampled_levels:
                level.downsample = Downsample(width)
            self.down.append(level)
            channels = width
        self.mid = Middle(channels, config)
        self.norm_out = config.norm(channels)
        self.conv_out = nn.Conv2d(channels, config.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        return self.conv_out(self.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """Features (B, z_channels, h, w) to an image (B, in_channels, h*f, w*f), not clamped.

    Each level has one residual block more than in the encoder; ``up`` is indexed by level (0 = full resolution) and
    runs from the last level to the first.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.silu = config.silu
        channels = config.ch * config.ch_mult[-1]
        self.conv_in = nn.Conv2d(config.z_channels, channels, 3, padding=1)
        self.mid = Middle(channels, config)
        levels: list[nn.Module] = []
        for i in reversed(range(len(config.ch_mult))):
            width = config.ch * config.ch_mult[i]
            level = Level(channels, width, config.num_res_blocks + 1, i in config.attention_levels, config)
            if 0 < i <= config.resampled_levels:
                level.upsample = Upsample(width)
            levels.insert(0, level)
            channels = width
        self.up = nn.ModuleList(levels)
        self.norm_out = config.norm(channels)
        self.conv_out = nn.Conv2d(channels, config.in_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        return self.conv_out(self.silu(self.norm_out(h)))
