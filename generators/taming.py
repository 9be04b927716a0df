"""Taming transformers (Esser et al. 2021, arXiv 2012.09841): the original VQGAN with a class-conditional minGPT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.errors import UserError
from iarbench.generator import Generator
from iarbench.nn.attention import KVCache
from iarbench.nn.autoencoder import AutoencoderConfig, Decoder, Encoder
from iarbench.nn.checkpoint import rules
from iarbench.nn.likelihood import log_probabilities_of
from iarbench.nn.quantize import VectorQuantizer
from iarbench.nn.sampling import Greedy, Streams, filter_logits
from iarbench.tokenizer import Quantized, Tokenizer


class TamingTokenizer(Tokenizer):
    """VQGAN: 1x1 convolutions around a plain codebook.

    ``config`` carries the released hyper-parameters: n_embed, embed_dim, ddconfig (ch, ch_mult, num_res_blocks,
    z_channels, resolution, attn_resolutions) and optionally norm_groups.
    """

    def __init__(self, config: Mapping[str, Any], image_size: int) -> None:
        super().__init__(config, image_size)
        sizes, dim = config["ddconfig"], config["embed_dim"]
        # Where attention sits follows from the configured resolution, whatever size the images have.
        sides = [sizes["resolution"] // 2**level for level in range(len(sizes["ch_mult"]))]
        shape = AutoencoderConfig(
            ch=sizes["ch"],
            ch_mult=tuple(sizes["ch_mult"]),
            num_res_blocks=sizes["num_res_blocks"],
            z_channels=sizes["z_channels"],
            attention_levels=frozenset(i for i, side in enumerate(sides) if side in sizes["attn_resolutions"]),
            norm_groups=config.get("norm_groups", 32),
            silu_as_product=True,
        )
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape)
        self.quantizer = VectorQuantizer(config["n_embed"], dim)
        self.quant_conv = nn.Conv2d(sizes["z_channels"], dim, 1)
        self.post_quant_conv = nn.Conv2d(dim, sizes["z_channels"], 1)
        self.grid = image_size // shape.downsampling

    def encode_native(self, images: Tensor) -> Tensor:
        return self.quant_conv(self.encoder(images))

    def decode_native(self, features: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(features))

    def quantize(self, features: Tensor) -> Quantized:
        return Quantized(*self.quantizer(features))

    def lookup(self, tokens: Tensor) -> Tensor:
        return self.quantizer.lookup(tokens, (self.grid, self.grid))

    def released_key(self, name: str) -> str | None:
        """Our name of a tensor in vqgan.ckpt or, under ``first_stage_model``, in net2net.ckpt."""
        return _rename_tokenizer(name)


_rename_tokenizer = rules(
    (r"^transformer\.", None),
    (r"^first_stage_model\.", ""),
    (r"^loss\.", None),  # the perceptual loss and the discriminator of training
    (r"^quantize\.", "quantizer."),
)


class Attention(nn.Module):
    """Causal multi-head attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        projected = (self.query(x), self.key(x), self.value(x))
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in projected)  # (B, heads, L, head_dim)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
        return self.proj(out.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, dim: int, heads: int, eps: float) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(dim, eps=eps)
        self.ln2 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        x = x + self.attn(self.ln1(x), cache, layer)
        return x + self.mlp(self.ln2(x))


class TamingTransformer(nn.Module):
    """A minGPT over [class, token 0, token 1, ...]; output i is the distribution of token i.

    The class index is fed as a token: class 7 and code 7 share their embedding. ``config``: vocab_size, block_size,
    n_layer, n_head, n_embd and optionally layernorm_eps.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, eps = config["n_embd"], config.get("layernorm_eps", 1e-5)
        if config.get("n_unmasked", 0):
            raise ValueError(f"n_unmasked={config['n_unmasked']}: the released class-conditional model is fully causal")
        self.tok_emb = nn.Embedding(config["vocab_size"], dim)
        self.pos_emb = nn.Parameter(torch.zeros(1, config["block_size"], dim))
        self.blocks = nn.ModuleList(Block(dim, config["n_head"], eps) for _ in range(config["n_layer"]))
        self.ln_f = nn.LayerNorm(dim, eps=eps)
        self.head = nn.Linear(dim, config["vocab_size"], bias=False)

    def released_key(self, name: str) -> str | None:
        """Our name of a tensor in net2net.ckpt, which also holds the whole tokenizer."""
        return _rename_transformer(name)

    def forward(self, tokens: Tensor, classes: Tensor) -> Tensor:
        """Teacher-forced logits (B, L, V) of tokens (B, L) under ``classes`` (B,)."""
        return self.step(torch.cat([classes[:, None], tokens[:, :-1]], dim=1), start=0, cache=None)

    def step(self, tokens: Tensor, start: int, cache: KVCache | None) -> Tensor:
        """Logits (B, n, V) after ``tokens`` (B, n), the first of which stands at slot ``start`` (0: the class)."""
        x = self.tok_emb(tokens) + self.pos_emb[:, start : start + tokens.shape[1]]
        for i, block in enumerate(self.blocks):
            x = block(x, cache, i)
        return self.head(self.ln_f(x))


_rename_transformer = rules(
    (r"^first_stage_model\.", None),
    (r"^transformer\.", ""),
    (r"attn\.mask$", None),
)


class Taming(Generator):
    """Class-conditional next-token generation; this model knows no classifier-free guidance."""

    tokenizer_class = TamingTokenizer
    transformer_class = TamingTransformer
    drops_condition = False

    def sample_tokens(
        self,
        conditions: Tensor,
        streams: Streams | Greedy,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        trace: list[Tensor] | None = None,
    ) -> Tensor:
        cache, new = KVCache(), conditions[:, None]
        tokens = conditions.new_empty(len(conditions), 0)
        for slot in range(self.tokenizer.grid**2):
            logits = self.transformer.step(new, slot, cache)[:, -1]
            if trace is not None:
                trace.append(logits)
            new = streams.draw(filter_logits(logits, temperature, top_k, top_p))[:, None]
            tokens = torch.cat([tokens, new], dim=1)
        return tokens

    def log_probabilities(self, tokens: Tensor, conditions: Tensor, *, dropped: bool = False) -> Tensor:
        if dropped:
            raise UserError("Taming's transformer was never trained without a class: its condition cannot be dropped")
        return log_probabilities_of(tokens, self.transformer(tokens, conditions))

    def training_loss(self, tokens: Tensor, classes: Tensor, features: Tensor | None = None) -> Tensor:
        logits = self.transformer(tokens, classes)
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())
