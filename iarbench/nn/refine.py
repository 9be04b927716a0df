"""An encoder that checks its answer: decode the features, look at what is left of the image, correct, again.

One pass of a small encoder leaves errors that its own decoder makes visible. Here the residual image drives the
correction, scaled to unit size and the correction scaled back, so that one set of weights serves errors of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from iarbench.nn.autoencoder import AutoencoderConfig, Encoder


class Refiner(nn.Module):
    """``steps`` corrections of features (B, dim, h, w) by one convolutional encoder of the image and its residual.

    ``config``: ch, ch_mult, num_res_blocks, steps and optionally norm_groups.
    """

    def __init__(self, config: Mapping[str, Any], dim: int) -> None:
        super().__init__()
        self.steps = config["steps"]
        width = config["ch"] * config["ch_mult"][-1]
        shape = AutoencoderConfig(
            ch=config["ch"],
            ch_mult=tuple(config["ch_mult"]),
            num_res_blocks=config["num_res_blocks"],
            z_channels=width,
            in_channels=6,
            mid_attention=False,
            norm_groups=config.get("norm_groups", 8),
        )
        self.encoder = Encoder(shape)
        self.head = nn.Conv2d(width + dim, dim, 1)

    def forward(self, images: Tensor, f: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
        """The last of :meth:`trajectory`."""
        *_, last = self.trajectory(images, f, decode)
        return last

    def trajectory(self, images: Tensor, f: Tensor, decode: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        """Features (B, dim, h, w) after each step for images (B, 3, H, W); ``decode`` gives images in their range.

        A step starts from the features before it as they are: no gradient flows through the decoder.
        """
        for _ in range(self.steps):
            f = f.detach()
            with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
                rest = images - decode(f.float())
                size = rest.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-6
            seen = self.encoder(torch.cat([images, rest / size], dim=1))
            f = f + size * self.head(torch.cat([seen, f], dim=1)).float()
            yield f
