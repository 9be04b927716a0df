"""LlamaGen (Sun et al. 2024, arXiv 2406.06525): a VQ tokenizer on the unit sphere and a class-conditional Llama."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.generator import Generator
from iarbench.nn.attention import KVCache, RMSNorm, rotary_2d, rotate_pairs
from iarbench.nn.autoencoder import AutoencoderConfig, Decoder, Encoder
from iarbench.nn.checkpoint import rules
from iarbench.nn.likelihood import log_probabilities_of
from iarbench.nn.quantize import VectorQuantizer
from iarbench.nn.sampling import Greedy, Streams, filter_logits
from iarbench.tokenizer import Quantized, Tokenizer


class LlamaGenTokenizer(Tokenizer):
    """VQ-16 and its relatives: 1x1 convolutions around a codebook of unit vectors.

    ``config`` carries the released hyper-parameters: ch, ch_mult, num_res_blocks, z_channels, codebook_size,
    codebook_embed_dim and optionally norm_groups, and ``decoder``: those sizes in which the decoder differs.
    """

    def __init__(self, config: Mapping[str, Any], image_size: int) -> None:
        super().__init__(config, image_size)
        self.levels = len(config["ch_mult"])
        sizes = AutoencoderConfig(
            ch=config["ch"],
            ch_mult=tuple(config["ch_mult"]),
            num_res_blocks=config["num_res_blocks"],
            z_channels=config["z_channels"],
            attention_levels=frozenset({self.levels - 1}),
            norm_groups=config.get("norm_groups", 32),
            silu_as_product=True,
        )
        dim = config["codebook_embed_dim"]
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes.resized(config.get("decoder", {})))
        self.quantizer = VectorQuantizer(config["codebook_size"], dim, l2_norm=config.get("codebook_l2_norm", True))
        self.quant_conv = nn.Conv2d(config["z_channels"], dim, 1)
        self.post_quant_conv = nn.Conv2d(dim, config["z_channels"], 1)
        self.grid = image_size // sizes.downsampling

    def encode_native(self, images: Tensor) -> Tensor:
        f = self.quant_conv(self.encoder(images))
        return F.normalize(f, dim=1) if self.quantizer.l2_norm else f

    def decode_native(self, features: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(features))

    def quantize(self, features: Tensor) -> Quantized:
        return Quantized(*self.quantizer(features))

    def lookup(self, tokens: Tensor) -> Tensor:
        return self.quantizer.lookup(tokens, (self.grid, self.grid))

    def released_key(self, name: str) -> str | None:
        """Our name of a tensor in the released files, whose decoder blocks count from the lowest resolution."""
        name = re.sub(r"^decoder\.conv_blocks\.(\d+)", lambda m: f"decoder.up.{self.levels - 1 - int(m[1])}", name)
        return _rename_tokenizer(name)


_rename_tokenizer = rules(
    (r"codebook_used$", None),  # a usage statistic of training
    (r"^quantize\.", "quantizer."),
    (r"^encoder\.conv_blocks\.(\d+)", r"encoder.down.\1"),
    (r"\.res\.(\d+)", r".block.\1"),
    (r"\.mid\.0\.", ".mid.block_1."),
    (r"\.mid\.1\.", ".mid.attn_1."),
    (r"\.mid\.2\.", ".mid.block_2."),
)


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions, fused query-key-value weights and no biases."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.wqkv = nn.Linear(dim, 3 * dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        q, k, v = self.wqkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, L, head_dim)
        q, k = rotate_pairs(q, cos, sin), rotate_pairs(k, cos, sin)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
        return self.wo(out.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """SwiGLU: w2(silu(w1 x) * w3 x)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, dim: int, heads: int, hidden: int, eps: float, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.attention = Attention(dim, heads)
        self.feed_forward = FeedForward(dim, hidden)
        self.attention_norm = RMSNorm(dim, eps)
        self.ffn_norm = RMSNorm(dim, eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), cos, sin, cache, layer))
        return x + self.dropout(self.feed_forward(self.ffn_norm(x)))


class LlamaGenTransformer(nn.Module):
    """A Llama over [class, token 0, token 1, ...]; output i is the distribution of token i.

    ``config``: dim, n_layer, n_head, vocab_size, block_size, num_classes, and optionally multiple_of, rope_base,
    norm_eps and dropout (training alone).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, heads, multiple = config["dim"], config["n_head"], config.get("multiple_of", 256)
        if config.get("n_kv_head") not in (None, heads):
            raise ValueError(f"n_kv_head={config['n_kv_head']}: grouped queries are in no released LlamaGen c2i model")
        hidden = -(-int(8 * dim / 3) // multiple) * multiple
        eps, dropout = config.get("norm_eps", 1e-5), config.get("dropout", 0.0)
        self.null_class = config["num_classes"]
        self.cls_embedding = nn.ModuleDict({"embedding_table": nn.Embedding(self.null_class + 1, dim)})
        self.tok_embeddings = nn.Embedding(config["vocab_size"], dim)
        self.layers = nn.ModuleList(Block(dim, heads, hidden, eps, dropout) for _ in range(config["n_layer"]))
        self.norm = RMSNorm(dim, eps)
        self.output = nn.Linear(dim, config["vocab_size"], bias=False)
        self.length = config["block_size"]
        side = int(self.length**0.5)
        cell = torch.arange(self.length)
        cos, sin = rotary_2d(cell // side, cell % side, dim // heads, config.get("rope_base", 10000))
        self.cos: Tensor
        self.sin: Tensor
        # The released models rotate the class slot by (0, 0) instead of (1, 0): its query and key vanish.
        self.register_buffer("cos", F.pad(cos, (0, 0, 1, 0)), persistent=False)
        self.register_buffer("sin", F.pad(sin, (0, 0, 1, 0)), persistent=False)

    def released_key(self, name: str) -> str | None:
        """Our names are the released ones."""
        return name

    def forward(self, tokens: Tensor, classes: Tensor) -> Tensor:
        """Teacher-forced logits (B, L, V) of tokens (B, L) under ``classes`` (B,); ``null_class`` means none."""
        return self.step(tokens[:, :-1], classes, start=0, cache=None)

    def step(self, tokens: Tensor, classes: Tensor | None, start: int, cache: KVCache | None) -> Tensor:
        """Logits (B, n, V) after the class (if given) and ``tokens``, the first of which stands at slot ``start``."""
        x = self.tok_embeddings(tokens)
        if classes is not None:
            x = torch.cat([self.cls_embedding["embedding_table"](classes)[:, None], x], dim=1)
        cos, sin = self.cos[start : start + x.shape[1]], self.sin[start : start + x.shape[1]]
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, cache, i)
        return self.output(self.norm(x))


class LlamaGen(Generator):
    """Class-conditional next-token generation with classifier-free guidance at every step."""

    tokenizer_class = LlamaGenTokenizer
    transformer_class = LlamaGenTransformer

    def sample_tokens(
        self,
        conditions: Tensor,
        streams: Streams | Greedy,
        cfg_scale: float = 4.0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        trace: list[Tensor] | None = None,
    ) -> Tensor:
        model, n = self.transformer, len(conditions)
        classes = torch.cat([conditions, torch.full_like(conditions, model.null_class)])
        cache, tokens = KVCache(), conditions.new_empty(n, 0)
        logits = model.step(classes.new_empty(2 * n, 0), classes, 0, cache)[:, -1]
        for slot in range(1, model.length + 1):
            cond, null = logits.chunk(2)
            guided = null + (cond - null) * cfg_scale
            if trace is not None:
                trace.append(guided)
            new = streams.draw(filter_logits(guided, temperature, top_k, top_p))[:, None]
            tokens = torch.cat([tokens, new], dim=1)
            if slot < model.length:
                logits = model.step(new.repeat(2, 1), None, slot, cache)[:, -1]
        return tokens

    def log_probabilities(self, tokens: Tensor, conditions: Tensor, *, dropped: bool = False) -> Tensor:
        classes = torch.full_like(conditions, self.transformer.null_class) if dropped else conditions
        return log_probabilities_of(tokens, self.transformer(tokens, classes))

    def training_loss(self, tokens: Tensor, classes: Tensor, features: Tensor | None = None) -> Tensor:
        logits = self.transformer(tokens, classes)
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())
