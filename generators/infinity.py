"""Infinity (Han et al. 2024, arXiv 2412.04431): binary codes, predicted bit by bit and scale by scale from text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.errors import UserError
from iarbench.generator import Generator
from iarbench.generators import var
from iarbench.nn.attention import FeedForward, KVCache, RMSNorm, rotary_2d, rotate_pairs
from iarbench.nn.autoencoder import AutoencoderConfig, Decoder, Encoder
from iarbench.nn.binary_quantize import BinaryQuantizer, schedule
from iarbench.nn.checkpoint import rules
from iarbench.nn.likelihood import log_probabilities_of
from iarbench.nn.precision import at_least_float32
from iarbench.nn.sampling import Greedy, Streams, filter_logits
from iarbench.nn.text import ByteEncoder, T5Encoder, TextEncoder, TextFeatures, pack
from iarbench.token_search.solvers import solve
from iarbench.tokenizer import Quantized, Tokenizer


class InfinityTokenizer(Tokenizer):
    """The visual autoencoder with binary codes. Features are the raw encoder output; only its signs are coded.

    ``config`` carries the released hyper-parameters: codebook_dim, base_ch, encoder_ch_mult, decoder_ch_mult (or
    ch_mult for both), num_res_blocks, patch_size and optionally cnn_attention, norm_groups, scale_schedule, and
    ``decoder``: those sizes in which the decoder differs.
    """

    capabilities = Tokenizer.capabilities | {"search"}

    def __init__(self, config: Mapping[str, Any], image_size: int) -> None:
        super().__init__(config, image_size)
        dim, patch = config["codebook_dim"], config["patch_size"]
        encoder, decoder = (
            AutoencoderConfig(
                ch=config["base_ch"],
                ch_mult=tuple(config.get(key) or config["ch_mult"]),
                num_res_blocks=config["num_res_blocks"],
                z_channels=dim,
                mid_attention=config.get("cnn_attention", "no") == "yes",
                norm_groups=config.get("norm_groups", 32),
                norm_eps=config.get("norm_eps", 1e-6),
                silu_as_product=True,
                halvings=int(math.log2(patch)),
            )
            for key in ("encoder_ch_mult", "decoder_ch_mult")
        )
        self.encoder = Encoder(encoder)
        self.decoder = Decoder(decoder.resized(config.get("decoder", {})))
        sides = schedule(config)
        if "scale_schedule" not in config:
            sides = tuple(n for n in sides if n <= image_size // patch)
        if sides[-1] != image_size // patch:
            raise ValueError(f"scales {sides} do not end at {image_size // patch}, the side of the feature map")
        self.quantizer = BinaryQuantizer(dim, sides)

    def encode_native(self, images: Tensor) -> Tensor:
        return self.encoder(images)

    def decode_native(self, features: Tensor) -> Tensor:
        return self.decoder(features)

    def quantize(self, features: Tensor) -> Quantized:
        return Quantized(*self.quantizer(at_least_float32(features)))

    def search(self, features: Tensor, solver: str) -> Quantized:
        return solve(self.quantizer, features.float(), solver)

    def lookup(self, tokens: Tensor) -> Tensor:
        return self.quantizer.lookup(tokens, self.decoder.conv_in.weight.dtype)

    def released_key(self, name: str) -> str | None:
        """Our name of a released tensor, whether or not its convolutions and norms are wrapped in a module."""
        return _rename_tokenizer(name)


_rename_tokenizer = rules(
    (r"^(?!encoder\.|decoder\.)", None),  # the bit mask, stored twice, and what only training needs
    (r"(?<!sample)\.conv\.(weight|bias)$", r".\1"),  # in ``downsample.conv`` the last .conv is our own
    (r"(norm\w*)\.norm\.(weight|bias)$", r"\1.\2"),
)


class SelfAttention(var.SelfAttention):
    """VAR's cosine attention; queries and keys are rotated after they are normalised and scaled."""

    def forward(  # type: ignore[override]
        self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor | None, cache: KVCache | None, layer: int
    ) -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.mat_qkv.weight, bias).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, L, head_dim)
        q = F.normalize(q, dim=-1) * self.scale_mul_1H11.clamp(max=math.log(100.0)).exp()
        q, k = rotate_pairs(q, *rope), rotate_pairs(F.normalize(k, dim=-1), *rope)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        out = F.scaled_dot_product_attention(q.type_as(v), k.type_as(v), v, attn_mask=mask, scale=1.0)
        return self.proj(out.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Attention to the words of each sample's own prompt, asked by ``x`` or, when pooling, by one learned query."""

    def __init__(self, dim: int, text_dim: int, heads: int, pooling: bool) -> None:
        super().__init__()
        self.heads = heads
        self.mat_q = nn.Parameter(torch.zeros(1, heads, dim // heads)) if pooling else nn.Linear(dim, dim)
        self.mat_kv = nn.Linear(text_dim, 2 * dim, bias=False)
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor | None, words: Tensor, real: Tensor) -> Tensor:
        """(B, n, C) for x (B, n, C), or (B, 1, C) when pooling, from words (B, T, C') where ``real`` (B, T)."""
        if isinstance(self.mat_q, nn.Parameter):
            q = self.mat_q[:, :, None].expand(len(words), -1, -1, -1)  # (B, heads, 1, head_dim)
        else:
            q = self.mat_q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        bias = torch.cat([torch.zeros_like(self.v_bias), self.v_bias])
        k, v = F.linear(words, self.mat_kv.weight, bias).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None])
        return self.proj(out.transpose(1, 2).flatten(2))


class TextPool(nn.Module):
    """One vector a prompt."""

    def __init__(self, dim: int, text_dim: int) -> None:
        super().__init__()
        self.ca = CrossAttention(dim, text_dim, heads=text_dim // (64 if dim > 4096 else 128), pooling=True)

    def forward(self, words: Tensor, real: Tensor) -> Tensor:
        return self.ca(None, words, real)[:, 0]


@dataclass(frozen=True, slots=True)
class Condition:
    """Prompts as the blocks use them."""

    pooled: Tensor  # (B, C)
    words: Tensor  # (B, T, C), padded
    real: Tensor  # bool (B, T), where they are not padding
    shared: Tensor  # (B, 1, 6, C), the part of the modulation that all blocks share


class Block(nn.Module):
    """Self-attention, attention to the words, feed-forward; the first and last are modulated by the pooled prompt."""

    def __init__(self, dim: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps
        self.sa = SelfAttention(dim, heads)
        self.ca_norm = nn.LayerNorm(dim, eps=eps)
        self.ca = CrossAttention(dim, dim, heads, pooling=False)
        self.ffn = FeedForward(dim, hidden, gelu="tanh")
        self.ada_gss = nn.Parameter(torch.zeros(1, 1, 6, dim))

    def forward(
        self,
        x: Tensor,
        cond: Condition,
        rope: tuple[Tensor, Tensor],
        mask: Tensor | None,
        cache: KVCache | None,
        layer: int,
    ) -> Tensor:
        gamma1, gamma2, scale1, scale2, shift1, shift2 = (self.ada_gss + cond.shared).unbind(2)
        h = F.layer_norm(x, (self.dim,), eps=self.eps) * (scale1 + 1) + shift1
        x = x + gamma1 * self.sa(h, rope, mask, cache, layer)
        x = x + self.ca(self.ca_norm(x), cond.words, cond.real)
        h = F.layer_norm(x, (self.dim,), eps=self.eps) * (scale2 + 1) + shift2
        return x + gamma2 * self.ffn(h)


class InfinityTransformer(nn.Module):
    """Predicts all bits of a scale at once from the coarser scales and a prompt.

    ``config``: embed_dim, depth, num_heads, text_channels, text_maxlen, codebook_dim and optionally mlp_ratio,
    norm_eps, block_chunks (how the release groups its blocks), rope_base, rope_grid_hw, n_lvl_embed, scale_schedule,
    text_model (a T5 on the Hub, or "bytes" for a :class:`ByteEncoder` among the weights).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, heads, bits = config["embed_dim"], config["num_heads"], config["codebook_dim"]
        eps, text_dim = config.get("norm_eps", 1e-6), config["text_channels"]
        self.bits = bits
        self.chunk = config["depth"] // config.get("block_chunks", 1)
        self.text_model: str = config.get("text_model", "google/flan-t5-xl")
        if self.text_model == "bytes":
            self.text_encoder = ByteEncoder(text_dim, config["text_maxlen"])
        # Not zero: the norm that follows has a slope of 1,000 there.
        self.cfg_uncond = nn.Parameter(torch.randn(config["text_maxlen"], text_dim))
        self.text_norm = RMSNorm(text_dim, eps)
        self.text_proj_for_sos = TextPool(dim, text_dim)
        self.text_proj_for_ca = nn.Sequential(nn.Linear(text_dim, dim), nn.GELU("tanh"), nn.Linear(dim, dim))
        self.pos_start = nn.Parameter(torch.zeros(1, 1, dim))
        self.lvl_embed = nn.Embedding(config.get("n_lvl_embed", 15), dim)
        self.word_embed = nn.Linear(bits, dim)
        self.shared_ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        hidden = round(dim * config.get("mlp_ratio", 4.0) / 256) * 256
        self.blocks = nn.ModuleList(Block(dim, heads, hidden, eps) for _ in range(config["depth"]))
        self.head_nm = var.ClassHead(dim, eps)
        self.head = nn.Linear(dim, 2 * bits)
        sides = schedule(config)
        self.level: Tensor
        self.cos: Tensor
        self.sin: Tensor
        level = torch.cat([torch.full((n * n,), k) for k, n in enumerate(sides)])
        self.register_buffer("level", level, persistent=False)
        # Every scale is stretched over the grid of the finest one of the release, also where a model ends before it.
        rows, columns = (stretched(sides, end, axis) for axis, end in enumerate(config.get("rope_grid_hw", (64, 64))))
        cos, sin = rotary_2d(rows, columns, dim // heads, config.get("rope_base", 10000.0))
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def released_key(self, name: str) -> str | None:
        """Our name of a released tensor; the release keeps its blocks in chunks."""
        chunked = r"^block_chunks\.(\d+)\.module\.(\d+)"
        name = re.sub(chunked, lambda m: f"blocks.{int(m[1]) * self.chunk + int(m[2])}", name)
        return _rename_transformer(name)

    def condition(self, text: TextFeatures) -> Condition:
        """What the blocks need of ``text``, computed once an image."""
        words, real = text.padded()
        words = self.text_norm(words)
        pooled = self.text_proj_for_sos(words, real)
        shared = self.shared_ada_lin(pooled).view(len(pooled), 1, 6, -1)
        return Condition(pooled, self.text_proj_for_ca(words), real, shared)

    def without_text(self, text: TextFeatures, dropped: Sequence[bool] | None = None) -> TextFeatures:
        """``text`` with the ``dropped`` prompts (None: all) replaced by as many learned null words."""
        if max(text.lengths) > len(self.cfg_uncond):
            longest, most = max(text.lengths), len(self.cfg_uncond)
            raise UserError(f"a prompt has {longest} tokens; this model takes at most {most}: shorten it")
        drops = dropped if dropped is not None else [True] * len(text)
        parts = zip(text.split(), drops, strict=True)
        return pack([self.cfg_uncond[: len(part)] if drop else part for part, drop in parts])

    def forward(self, inputs: Tensor, text: TextFeatures) -> Tensor:
        """Teacher-forced logits (B, L, bits, 2), the last index being the bit's value.

        ``inputs`` (B, L-1, bits) come from :meth:`BinaryQuantizer.next_scale_inputs`.
        """
        level = self.level[: inputs.shape[1] + 1]
        visible = level[:, None] >= level[None, :]  # (L, L): own scale and coarser ones
        return self.step(inputs, self.condition(text), 0, None, visible)

    def step(
        self, inputs: Tensor, cond: Condition, start: int, cache: KVCache | None, mask: Tensor | None = None
    ) -> Tensor:
        """Logits of the slots from ``start`` on; slot 0 is made of the prompt, others of ``inputs`` (B, n, bits)."""
        x = self.word_embed(inputs)
        if start == 0:
            x = torch.cat([cond.pooled[:, None] + self.pos_start, x], dim=1)
        slots = slice(start, start + x.shape[1])
        x = x + self.lvl_embed(self.level[slots])
        rope = self.cos[slots], self.sin[slots]
        for i, block in enumerate(self.blocks):
            x = block(x, cond, rope, mask, cache, i)
        return self.head(self.head_nm(x, cond.pooled)).unflatten(-1, (self.bits, 2))


_rename_transformer = rules(
    (r"zero_k_bias$|^lvl_1L$|^attn_bias_for_masking$|^Infinity_", None),  # zeros and masks, built here
)


def stretched(sides: Sequence[int], end: int, axis: int) -> Tensor:
    """Row (``axis`` 0) or column (1) of every position of every scale on a grid of ``end`` cells, rounded, (L,)."""
    parts = []
    for n in sides:
        line = (torch.arange(n) * (end / n)).round()
        parts.append(line.repeat_interleave(n) if axis == 0 else line.repeat(n))
    return torch.cat(parts)


class Infinity(Generator):
    """Text-conditional next-scale generation of bits, guided at every scale alike.

    Conditions are prompts, or :class:`TextFeatures` encoded before. While the transformer is in training mode, ``flip``
    is the largest share of bits turned over and ``text_dropout`` the share of prompts replaced by the null prompt.
    """

    tokenizer_class = InfinityTokenizer
    transformer_class = InfinityTransformer
    trains_on_features = True
    flip: float = 0.3
    text_dropout: float = 0.1

    @classmethod
    def transformer_config(cls, tokenizer: Mapping[str, Any], transformer: Mapping[str, Any]) -> dict[str, Any]:
        """Bits, and scales where they are not the released ones, are the tokenizer's."""
        shared = {key: tokenizer[key] for key in ("codebook_dim", "scale_schedule") if key in tokenizer}
        return shared | dict(transformer)

    @cached_property
    def text_encoder(self) -> TextEncoder:
        """Encodes prompts; loaded when the first prompt comes. Raises UserError without the ``t2i`` extra."""
        null = self.transformer.cfg_uncond
        if hasattr(self.transformer, "text_encoder"):
            return self.transformer.text_encoder
        return T5Encoder(self.transformer.text_model, max_tokens=null.shape[0], device=null.device)

    def encode_text(self, conditions: TextFeatures | Sequence[str]) -> TextFeatures:
        """Prompts as features on the transformer's device."""
        text = conditions if isinstance(conditions, TextFeatures) else self.text_encoder(conditions)
        return TextFeatures(text.features.to(self.transformer.cfg_uncond), text.lengths)

    def sample_tokens(
        self,
        conditions: Any,
        streams: Streams | Greedy,
        cfg: float = 3.0,
        tau: float = 1.0,
        top_k: int = 0,
        top_p: float = 0.97,
        trace: list[Tensor] | None = None,
    ) -> Tensor:
        model, quantizer = self.transformer, self.tokenizer.quantizer
        text = self.encode_text(conditions)
        cond = model.condition(text.join(model.without_text(text)))
        cache, last = KVCache(), len(quantizer.sides) - 1
        inputs = text.features.new_empty(2 * len(text), 0, quantizer.dim)
        f_hat, start, tokens = torch.zeros((), dtype=inputs.dtype, device=inputs.device), 0, []
        for scale, side in enumerate(quantizer.sides):
            prompted, null = model.step(inputs, cond, start, cache).chunk(2)
            guided = cfg * prompted + (1 - cfg) * null
            if trace is not None:
                trace.append(guided)
            bits = streams.draw(filter_logits(guided, tau, top_k, top_p)).bool()
            tokens.append(quantizer.pack(bits))
            f_hat = f_hat + quantizer.upsampled(bits, scale, inputs.dtype)
            start += side * side
            if scale < last:
                inputs = quantizer.next_input(f_hat, scale + 1).repeat(2, 1, 1)
        return torch.cat(tokens, dim=1)

    def scales(self, length: int) -> tuple[int, ...]:
        return tuple(n * n for n in self.tokenizer.quantizer.sides)

    def log_probabilities(self, tokens: Tensor, conditions: Any, *, dropped: bool = False) -> Tensor:
        """As :meth:`Generator.log_probabilities`; a token's is the sum over its bits."""
        model, quantizer, n = self.transformer, self.tokenizer.quantizer, tokens.shape[1]
        text = self.encode_text(conditions)
        # What comes after is not seen by what came before: any tokens will do for it.
        whole = F.pad(tokens, (0, sum(self.scales(n)) - n))
        sums = quantizer.cumulative(whole, text.features.dtype)
        inputs = quantizer.next_scale_inputs(sums)[:, : n - 1]
        logits = model(inputs, model.without_text(text) if dropped else text)
        return log_probabilities_of(quantizer.unpack(tokens).long(), logits).sum(-1)

    def training_loss(self, tokens: Tensor, classes: Any, features: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood (nats a token) of tokens (B, L) under prompts ``classes``.

        Where bits are flipped, ``features`` (B, bits, h, w), the encoder's, are needed to correct the targets: the
        tokens' own codes would not do, for quantising them again changes one bit in five.
        """
        quantizer, model, text = self.tokenizer.quantizer, self.transformer, self.encode_text(classes)
        if model.training and self.text_dropout > 0:
            text = model.without_text(text, (torch.rand(len(text)) < self.text_dropout).tolist())
        with torch.no_grad():
            if model.training and self.flip > 0:
                if features is None:
                    raise ValueError("bitwise self-correction (flip > 0) needs the features the tokens were made from")
                steps = list(quantizer.walk(features, self.flip))
                tokens = torch.cat([step.tokens for step in steps], dim=1)
                inputs = quantizer.next_scale_inputs(step.f_hat for step in steps)
            else:
                inputs = quantizer.next_scale_inputs(quantizer.cumulative(tokens))
        bits = quantizer.unpack(tokens)
        return F.cross_entropy(model(inputs, text).flatten(0, 2).float(), bits.flatten().long()) * quantizer.dim
