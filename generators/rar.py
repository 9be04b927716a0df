"""RAR (Yu et al. 2024, arXiv 2411.00776): MaskGIT's VQGAN and a transformer trained on randomly permuted tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.generator import Generator
from iarbench.nn.attention import FeedForward, KVCache
from iarbench.nn.checkpoint import rules
from iarbench.nn.inplace import plus, silu
from iarbench.nn.likelihood import log_probabilities_of
from iarbench.nn.quantize import VectorQuantizer
from iarbench.nn.sampling import Greedy, Streams, filter_logits
from iarbench.tokenizer import Quantized, Tokenizer


class ResBlock(nn.Module):
    """norm, SiLU, 3x3, norm, SiLU, 3x3, all without bias, plus a shortcut.

    Where channels change, the released weights expect the 1x1 shortcut on the block's *result*, not on its input:
    such a block forgets its input.
    """

    def __init__(self, c_in: int, c_out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, c_in, eps=1e-6)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, c_out, eps=1e-6)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        if c_in != c_out:
            self.nin_shortcut = nn.Conv2d(c_out, c_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(silu(self.norm1(x)))
        h = self.conv2(silu(self.norm2(h)))
        return plus(h, self.nin_shortcut(h) if hasattr(self, "nin_shortcut") else x)


class Level(nn.Module):
    """The residual blocks of one resolution; ``upsample`` doubles the side after them."""

    def __init__(self, c_in: int, c_out: int, depth: int, groups: int, upsample: bool = False) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResBlock(c_in if i == 0 else c_out, c_out, groups) for i in range(depth))
        if upsample:
            self.upsample_conv = nn.Conv2d(c_out, c_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        if hasattr(self, "upsample_conv"):
            x = self.upsample_conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return x


class Encoder(nn.Module):
    """Image (B, 3, H, W) to features (B, z_channels, H/f, W/f); average pooling halves the side between levels."""

    def __init__(self, ch: int, mults: list[int], depth: int, z_channels: int, groups: int) -> None:
        super().__init__()
        widths = [ch * mult for mult in mults]
        self.conv_in = nn.Conv2d(3, ch, 3, padding=1, bias=False)
        sizes = zip([ch, *widths[:-1]], widths, strict=True)
        self.down = nn.ModuleList(Level(a, b, depth, groups) for a, b in sizes)
        self.mid = nn.ModuleList(ResBlock(widths[-1], widths[-1], groups) for _ in range(depth))
        self.norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], z_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for i, level in enumerate(self.down):
            h = level(h if i == 0 else F.avg_pool2d(h, 2))
        for block in self.mid:
            h = block(h)
        return self.conv_out(silu(self.norm_out(h)))


class Decoder(nn.Module):
    """Features (B, z_channels, h, w) to an image (B, 3, h*f, w*f), not clamped; ``up`` runs from last to first."""

    def __init__(self, ch: int, mults: list[int], depth: int, z_channels: int, groups: int) -> None:
        super().__init__()
        widths = [ch * mult for mult in mults]
        self.conv_in = nn.Conv2d(z_channels, widths[-1], 3, padding=1)
        self.mid = nn.ModuleList(ResBlock(widths[-1], widths[-1], groups) for _ in range(depth))
        sizes = zip([*widths[1:], widths[-1]], widths, strict=True)
        self.up = nn.ModuleList(Level(a, b, depth, groups, upsample=i > 0) for i, (a, b) in enumerate(sizes))
        self.norm_out = nn.GroupNorm(groups, widths[0], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.conv_in(z)
        for block in self.mid:
            h = block(h)
        for level in reversed(self.up):
            h = level(h)
        return self.conv_out(silu(self.norm_out(h)))


class RARTokenizer(Tokenizer):
    """MaskGIT-VQGAN: no attention, no convolutions around the codebook, pixels in [0, 1].

    ``config`` carries the released hyper-parameters: channel_mult, hidden_channels, num_res_blocks, z_channels,
    codebook_size and optionally norm_groups, and ``decoder``: those sizes in which the decoder differs.
    """

    native_range = (0.0, 1.0)

    def __init__(self, config: Mapping[str, Any], image_size: int) -> None:
        super().__init__(config, image_size)
        self.encoder = Encoder(*_sizes(config))
        self.decoder = Decoder(*_sizes({**config, **config.get("decoder", {})}))
        self.quantizer = VectorQuantizer(config["codebook_size"], config["z_channels"])
        self.grid = image_size // 2 ** (len(config["channel_mult"]) - 1)

    def encode_native(self, images: Tensor) -> Tensor:
        return self.encoder(images)

    def decode_native(self, features: Tensor) -> Tensor:
        return self.decoder(features)

    def quantize(self, features: Tensor) -> Quantized:
        return Quantized(*self.quantizer(features))

    def lookup(self, tokens: Tensor) -> Tensor:
        return self.quantizer.lookup(tokens, (self.grid, self.grid))

    def released_key(self, name: str) -> str | None:
        """Our name of a tensor in the released file."""
        return _rename_tokenizer(name)


def _sizes(config: Mapping[str, Any]) -> tuple[int, list[int], int, int, int]:
    names = ("hidden_channels", "channel_mult", "num_res_blocks", "z_channels")
    return *(config[name] for name in names), config.get("norm_groups", 32)


_rename_tokenizer = rules((r"^quantize\.", "quantizer."))


class Attention(nn.Module):
    """Causal multi-head attention with layer-normed queries and keys."""

    def __init__(self, dim: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_norm = nn.LayerNorm(dim // heads, eps=eps)
        self.k_norm = nn.LayerNorm(dim // heads, eps=eps)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, L, head_dim)
        q, k = self.q_norm(q), self.k_norm(k)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
        return self.proj(out.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and feed-forward, each shifted, scaled and gated by a vector of its own at every position."""

    def __init__(self, dim: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, eps)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = FeedForward(dim, hidden, gelu="none")
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))

    def forward(self, x: Tensor, cond: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(cond).chunk(6, dim=-1)
        x = x + gate1 * self.attn(self.norm1(x) * (1 + scale1) + shift1, cache, layer)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


class FinalNorm(nn.Module):
    """Layer norm scaled and shifted by the condition, before the output projection."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        scale, shift = self.adaLN_modulation(cond).chunk(2, dim=-1)
        return F.layer_norm(x, (self.dim,), eps=self.eps) * (1 + scale) + shift


class RARTransformer(nn.Module):
    """Predicts the tokens of an image in any order, each position being told which one comes next.

    Slots are [cls, class, token, token, ...]. One table embeds codes, a mask (unused), classes and the null class.
    ``config``: hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, image_seq_len, codebook_size,
    condition_num_classes and optionally norm_eps.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, heads, eps = config["hidden_size"], config["num_attention_heads"], config.get("norm_eps", 1e-6)
        codes, self.null_class = config["codebook_size"], config["condition_num_classes"]
        # The release goes through this ratio, whose rounding can cost one unit.
        hidden = int(dim * (config["intermediate_size"] / dim))
        self.length = config["image_seq_len"]
        self.first_class = codes + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.embeddings = nn.Embedding(self.first_class + self.null_class + 1, dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.length + 1024, dim))
        self.target_aware_pos_embed = nn.Parameter(torch.zeros(1, self.length + 1024, dim))
        self.timesteps_embeddings = nn.Parameter(torch.zeros(1, self.length + 100, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, hidden, eps) for _ in range(config["num_hidden_layers"]))
        self.adaln_before_head = FinalNorm(dim, eps)
        self.lm_head = nn.Linear(dim, codes)

    def released_key(self, name: str) -> str | None:
        """Our names are the released ones."""
        return name

    def forward(self, tokens: Tensor, classes: Tensor, orders: Tensor | None = None) -> Tensor:
        """Teacher-forced logits (B, L+1, V) of tokens (B, L) in raster order under ``classes`` (B,).

        ``orders`` (B, L) are permutations in which the tokens are read (None: raster); output i then predicts token
        ``orders[:, i]``. The last output follows the last token and predicts nothing.
        """
        if orders is not None:
            tokens = tokens.gather(1, orders)
        return self.step(tokens, classes, self.positions(orders), start=0, cache=None)[:, 1:]

    def positions(self, orders: Tensor | None = None) -> Tensor:
        """What slots add to their embeddings, (B or 1, L+2, C): where they are and where the token they predict is."""
        own, target = self.pos_embed[:, 2 : self.length + 2], self.target_aware_pos_embed[:, 2 : self.length + 2]
        if orders is not None:
            own, target = own[0, orders], target[0, orders]
        none = torch.zeros_like(own[:, :1])
        own = torch.cat([self.pos_embed[:, :2].expand(len(own), -1, -1), own], dim=1)
        return own + torch.cat([none, target, none], dim=1)

    def step(self, tokens: Tensor, classes: Tensor, positions: Tensor, start: int, cache: KVCache | None) -> Tensor:
        """Logits (B, n, V) after the slots from ``start`` on; cls and class come before ``tokens`` at slot 0."""
        cond = self.embeddings(self.first_class + classes)[:, None]
        x = self.embeddings(tokens)
        if start == 0:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), cond, x], dim=1)
        slots = slice(start, start + x.shape[1])
        x = x + positions[:, slots]
        cond = cond + self.timesteps_embeddings[:, slots]
        for i, block in enumerate(self.blocks):
            x = block(x, cond, cache, i)
        return self.lm_head(self.adaln_before_head(x, cond))


def guidance_schedule(scale: float, power: float, length: int) -> Tensor:
    """Guidance weight of each of ``length`` steps, float64 (length,): from 1 along a cosine towards ``scale``.

    ``power`` bends the rise towards the end; 0 gives ``scale`` throughout. The last step stays short of ``scale``.
    """
    progress = (torch.arange(length).double() / length) ** power
    return (scale - 1) * (1 - torch.cos(torch.pi * progress)) / 2 + 1


class RAR(Generator):
    """Class-conditional next-token generation in raster order with growing guidance.

    ``random_ratio`` is the share of sequences read in random order while the transformer is in training mode.
    """

    tokenizer_class = RARTokenizer
    transformer_class = RARTransformer
    random_ratio: float = 0.0
    settled_from = 0.75  # see training_progress

    def sample_tokens(
        self,
        conditions: Tensor,
        streams: Streams | Greedy,
        guidance_scale: float = 4.0,
        guidance_scale_pow: float = 3.0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        trace: list[Tensor] | None = None,
    ) -> Tensor:
        model, n, guided = self.transformer, len(conditions), guidance_scale != 0  # 0 means no second pass
        classes = torch.cat([conditions, torch.full_like(conditions, model.null_class)]) if guided else conditions
        weights = guidance_schedule(guidance_scale, guidance_scale_pow, model.length).tolist()
        cache, positions = KVCache(), model.positions()
        tokens = conditions.new_empty(n, 0)
        logits = model.step(classes.new_empty(len(classes), 0), classes, positions, 0, cache)[:, -1]
        for slot, weight in enumerate(weights, start=2):
            if guided:
                cond, null = logits.chunk(2)
                logits = null + (cond - null) * weight
            if trace is not None:
                trace.append(logits)
            new = streams.draw(filter_logits(logits, temperature, top_k, top_p))[:, None]
            tokens = torch.cat([tokens, new], dim=1)
            if slot <= model.length:
                logits = model.step(new.repeat(len(classes) // n, 1), classes, positions, slot, cache)[:, -1]
        return tokens

    def log_probabilities(self, tokens: Tensor, conditions: Tensor, *, dropped: bool = False) -> Tensor:
        """As :meth:`Generator.log_probabilities`, in raster order, in which images are sampled."""
        classes = torch.full_like(conditions, self.transformer.null_class) if dropped else conditions
        return log_probabilities_of(tokens, self.transformer(tokens, classes)[:, : tokens.shape[1]])

    def training_loss(self, tokens: Tensor, classes: Tensor, features: Tensor | None = None) -> Tensor:
        orders = self.draw_orders(tokens, self.random_ratio if self.transformer.training else 0.0)
        logits = self.transformer(tokens, classes, orders)[:, :-1]
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens.gather(1, orders).flatten())

    def training_progress(self, progress: float) -> None:
        """All orders random for half of the training, then fewer and fewer, none in its last quarter (section 3.2)."""
        self.random_ratio = min(max(1 - (progress - 0.5) / 0.25, 0.0), 1.0)

    @staticmethod
    def draw_orders(tokens: Tensor, random_ratio: float) -> Tensor:
        """Reading orders int64 (B, L): a random permutation with probability ``random_ratio``, else raster."""
        raster = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        shuffled = torch.rand(tokens.shape).argsort(dim=1).to(tokens.device)
        chosen = (torch.rand(len(tokens), 1) < random_ratio).to(tokens.device)
        return torch.where(chosen, shuffled, raster)
