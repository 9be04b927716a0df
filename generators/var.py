"""VAR (Tian et al. 2024, arXiv 2404.02905): a multi-scale residual tokenizer and next-scale prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.generator import Generator
from iarbench.nn.attention import FeedForward, KVCache
from iarbench.nn.autoencoder import AutoencoderConfig, Decoder, Encoder
from iarbench.nn.checkpoint import rules
from iarbench.nn.likelihood import log_probabilities_of
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.nn.sampling import Greedy, Streams, filter_logits
from iarbench.token_search.solvers import solve
from iarbench.tokenizer import Quantized, Tokenizer


class VARTokenizer(Tokenizer):
    """The multi-scale VQ-VAE; tokens of all scales are concatenated, coarse to fine.

    ``config`` carries the released hyper-parameters: ch, ch_mult, num_res_blocks, z_channels, vocab_size,
    v_patch_nums, quant_resi, share_quant_resi, quant_conv_ks and optionally norm_groups.
    """

    inverse_modules = ("encoder", "quant_conv")
    capabilities = Tokenizer.capabilities | {"search"}
    main_score = "ratio"

    def __init__(self, config: Mapping[str, Any], image_size: int) -> None:
        super().__init__(config, image_size)
        dim, kernel = config["z_channels"], config.get("quant_conv_ks", 3)
        last = len(config["ch_mult"]) - 1
        sizes = AutoencoderConfig(
            ch=config["ch"],
            ch_mult=tuple(config["ch_mult"]),
            num_res_blocks=config["num_res_blocks"],
            z_channels=dim,
            attention_levels=frozenset({last} if config.get("using_sa", True) else ()),
            mid_attention=config.get("using_mid_sa", True),
            fused_qkv=True,
            norm_groups=config.get("norm_groups", 32),
        )
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)
        scales = tuple(config["v_patch_nums"])
        shared = config["share_quant_resi"] or len(scales)  # 0: a convolution for every scale
        self.quantizer = MultiScaleQuantizer(config["vocab_size"], dim, scales, config["quant_resi"], shared)
        self.quant_conv = nn.Conv2d(dim, dim, kernel, padding=kernel // 2)
        self.post_quant_conv = nn.Conv2d(dim, dim, kernel, padding=kernel // 2)

    def encode_native(self, images: Tensor) -> Tensor:
        return self.quant_conv(self.encoder(images))

    def decode_native(self, features: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(features))

    def quantize(self, features: Tensor) -> Quantized:
        return Quantized(*self.quantizer(features))

    def search(self, features: Tensor, solver: str) -> Quantized:
        return solve(self.quantizer, features, solver)

    def lookup(self, tokens: Tensor) -> Tensor:
        return self.quantizer.lookup(tokens)

    def released_key(self, name: str) -> str | None:
        return _rename_tokenizer(name)


_rename_tokenizer = rules(
    (r"^quantize\.ema_vocab_hit_SV$", "quantizer.usage"),
    (r"^quantize\.", "quantizer."),
    (r"quant_resi\.qresi\.", "quant_resi.qresi_ls.0."),  # where all scales share one convolution
    (r"quant_resi\.(\d+)\.", r"quant_resi.qresi_ls.\1."),  # where each has its own
)


class SelfAttention(nn.Module):
    """Cosine attention: unit queries and keys, a learned temperature a head, no bias on keys."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.mat_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.scale_mul_1H11 = nn.Parameter(torch.full((1, heads, 1, 1), math.log(4.0)))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None, cache: KVCache | None, layer: int) -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.mat_qkv.weight, bias).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, L, head_dim)
        q = F.normalize(q, dim=-1) * self.scale_mul_1H11.clamp(max=math.log(100.0)).exp()
        k = F.normalize(k, dim=-1)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        out = F.scaled_dot_product_attention(q.type_as(v), k.type_as(v), v, attn_mask=mask, scale=1.0)
        return self.proj(out.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and feed-forward, scaled, shifted and gated by the class (adaptive layer norm)."""

    def __init__(self, dim: int, heads: int, hidden: int, eps: float, shared_modulation: bool, dropout: float) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps
        self.dropout = nn.Dropout(dropout)
        self.attn = SelfAttention(dim, heads)
        self.ffn = FeedForward(dim, hidden, gelu="tanh")
        if shared_modulation:
            self.ada_gss = nn.Parameter(torch.zeros(1, 1, 6, dim))
        else:
            self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))

    def forward(self, x: Tensor, cond: Tensor, mask: Tensor | None, cache: KVCache | None, layer: int) -> Tensor:
        """``cond`` is the class vector (B, C), or its six shared modulations (B, 1, 6, C)."""
        modulation = self.ada_gss + cond if hasattr(self, "ada_gss") else self.ada_lin(cond).view(-1, 1, 6, self.dim)
        gamma1, gamma2, scale1, scale2, shift1, shift2 = modulation.unbind(2)
        h = F.layer_norm(x, (self.dim,), eps=self.eps) * (scale1 + 1) + shift1
        x = x + gamma1 * self.dropout(self.attn(h, mask, cache, layer))
        h = F.layer_norm(x, (self.dim,), eps=self.eps) * (scale2 + 1) + shift2
        return x + gamma2 * self.dropout(self.ffn(h))


class ClassHead(nn.Module):
    """Layer norm scaled and shifted by the class vector, before the output projection."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps
        self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        scale, shift = self.ada_lin(cond).view(-1, 1, 2, self.dim).unbind(2)
        return F.layer_norm(x, (self.dim,), eps=self.eps) * (scale + 1) + shift


class VARTransformer(nn.Module):
    """Predicts all tokens of a scale at once from the coarser scales.

    ``config``: dim (or embed_dim), depth, heads (or num_heads), num_classes, patch_nums, vocab_size, z_channels, and
    optionally mlp_ratio, norm_eps, shared_aln and dropout (training alone).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, heads = config["dim"], config["heads"]
        eps, shared = config.get("norm_eps", 1e-6), config.get("shared_aln", False)
        self.patch_nums: tuple[int, ...] = tuple(config["patch_nums"])
        level = torch.tensor([k for k, n in enumerate(self.patch_nums) for _ in range(n * n)])
        self.null_class = config["num_classes"]
        self.class_emb = nn.Embedding(self.null_class + 1, dim)
        self.pos_start = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_1LC = nn.Parameter(torch.zeros(1, len(level), dim))
        self.lvl_embed = nn.Embedding(len(self.patch_nums), dim)
        self.word_embed = nn.Linear(config["z_channels"], dim)
        if shared:
            self.shared_ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        hidden = round(dim * config.get("mlp_ratio", 4.0))
        dropout = config.get("dropout", 0.0)
        self.blocks = nn.ModuleList(Block(dim, heads, hidden, eps, shared, dropout) for _ in range(config["depth"]))
        self.head_nm = ClassHead(dim, eps)
        self.head = nn.Linear(dim, config["vocab_size"])
        self.level: Tensor
        self.visible: Tensor
        self.register_buffer("level", level, persistent=False)
        self.register_buffer("visible", level[:, None] >= level[None, :], persistent=False)  # (L, L)

    def released_key(self, name: str) -> str | None:
        return _rename_transformer(name)

    def forward(self, inputs: Tensor, classes: Tensor) -> Tensor:
        """Teacher-forced logits (B, L, V); ``inputs`` (B, L-1, C) from :func:`next_scale_inputs`, classes (B,)."""
        return self.step(inputs, classes, 0, None, self.visible)

    def step(
        self, inputs: Tensor, classes: Tensor, start: int, cache: KVCache | None, mask: Tensor | None = None
    ) -> Tensor:
        """Logits of the slots from ``start`` on; slot 0 is made of the class, the others of ``inputs`` (B, n, C)."""
        cond = self.class_emb(classes)
        x = self.word_embed(inputs)
        if start == 0:
            x = torch.cat([cond[:, None] + self.pos_start, x], dim=1)
        slots = slice(start, start + x.shape[1])
        x = x + self.lvl_embed(self.level[slots]) + self.pos_1LC[:, slots]
        shared = self.shared_ada_lin(cond).view(len(x), 1, 6, -1) if hasattr(self, "shared_ada_lin") else cond
        for i, block in enumerate(self.blocks):
            x = block(x, shared, mask, cache, i)
        return self.head(self.head_nm(x, cond))


_rename_transformer = rules(
    (r"zero_k_bias$|^lvl_1L$|^attn_bias_for_masking$", None),  # zeros and masks, built here
)


def next_scale_inputs(quantizer: MultiScaleQuantizer, tokens: Tensor) -> Tensor:
    """Transformer inputs (B, L-1, C): after each scale but the last, the sum so far, averaged down to the next."""
    parts = []
    for scale, f_hat in enumerate(quantizer.cumulative(tokens)):
        if scale + 1 < len(quantizer.patch_nums):
            parts.append(quantizer.reduced(f_hat, scale + 1).flatten(2).transpose(1, 2))
    return torch.cat(parts, dim=1)


class VAR(Generator):
    """Class-conditional next-scale generation; guidance grows linearly from 0 at the first scale to ``cfg``."""

    tokenizer_class = VARTokenizer
    transformer_class = VARTransformer

    @classmethod
    def transformer_config(cls, tokenizer: Mapping[str, Any], transformer: Mapping[str, Any]) -> dict[str, Any]:
        """Scales, codes and feature width are the tokenizer's."""
        return {
            "patch_nums": tokenizer["v_patch_nums"],
            "vocab_size": tokenizer["vocab_size"],
            "z_channels": tokenizer["z_channels"],
            **transformer,
        }

    def sample_tokens(
        self,
        conditions: Tensor,
        streams: Streams | Greedy,
        cfg: float = 4.0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        trace: list[Tensor] | None = None,
    ) -> Tensor:
        model, quantizer = self.transformer, self.tokenizer.quantizer
        classes = torch.cat([conditions, torch.full_like(conditions, model.null_class)])
        cache, n, last = KVCache(), len(conditions), len(model.patch_nums) - 1
        f_hat, inputs, start = None, model.pos_start.new_zeros(2 * n, 0, quantizer.embedding.embedding_dim), 0
        tokens = []
        for scale, side in enumerate(model.patch_nums):
            cond, null = model.step(inputs, classes, start, cache).chunk(2)
            t = cfg * scale / last if last else 0.0
            guided = (1 + t) * cond - t * null
            if trace is not None:
                trace.append(guided)
            tokens.append(streams.draw(filter_logits(guided, temperature, top_k, top_p)))
            h = quantizer.upsampled(quantizer.embedding(tokens[-1]), scale)
            f_hat = h if f_hat is None else f_hat + h
            start += side * side
            if scale < last:
                small = quantizer.reduced(f_hat, scale + 1).flatten(2).transpose(1, 2)
                inputs = small.repeat(2, 1, 1)
        return torch.cat(tokens, dim=1)

    def scales(self, length: int) -> tuple[int, ...]:
        return tuple(n * n for n in self.transformer.patch_nums)

    def log_probabilities(self, tokens: Tensor, conditions: Tensor, *, dropped: bool = False) -> Tensor:
        model, n = self.transformer, tokens.shape[1]
        classes = torch.full_like(conditions, model.null_class) if dropped else conditions
        # What comes after is not seen by what came before: any tokens will do for it.
        whole = F.pad(tokens, (0, len(model.level) - n))
        inputs = next_scale_inputs(self.tokenizer.quantizer, whole)[:, : n - 1]
        return log_probabilities_of(tokens, model.step(inputs, classes, 0, None, model.visible[:n, :n]))

    def training_loss(self, tokens: Tensor, classes: Tensor, features: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            inputs = next_scale_inputs(self.tokenizer.quantizer, tokens)
        logits = self.transformer(inputs, classes)
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())
