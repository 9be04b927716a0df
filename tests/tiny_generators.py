"""A transformer of every family with three or four codes and four or five tokens, every weight drawn at random."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from iarbench.generator import Generator
from iarbench.generators.infinity import Infinity, InfinityTransformer
from iarbench.generators.llamagen import LlamaGen, LlamaGenTransformer
from iarbench.generators.rar import RAR, RARTransformer
from iarbench.generators.taming import Taming, TamingTransformer
from iarbench.generators.var import VAR, VARTransformer
from iarbench.nn.binary_quantize import BinaryQuantizer
from iarbench.nn.quantize import MultiScaleQuantizer


def shaken(transformer: nn.Module) -> nn.Module:
    """Every weight drawn anew, so that none of its parts is without effect."""
    generator = torch.Generator().manual_seed(0)
    for parameter in transformer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return transformer.eval().requires_grad_(False)


def llamagen() -> Generator:
    sizes = {"dim": 8, "n_layer": 2, "n_head": 2, "multiple_of": 4, "vocab_size": 3, "block_size": 4, "num_classes": 3}
    return LlamaGen(SimpleNamespace(), shaken(LlamaGenTransformer(sizes)), {})


def rar() -> Generator:
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    sizes |= {"image_seq_len": 4, "codebook_size": 3, "condition_num_classes": 3}
    return RAR(SimpleNamespace(), shaken(RARTransformer(sizes)), {})


def taming() -> Generator:
    sizes = {"vocab_size": 3, "block_size": 4, "n_layer": 2, "n_head": 2, "n_embd": 8}
    return Taming(SimpleNamespace(grid=2), shaken(TamingTransformer(sizes)), {})


def var() -> Generator:
    sizes = {"dim": 8, "depth": 2, "heads": 2, "num_classes": 3, "patch_nums": [1, 2], "vocab_size": 3, "z_channels": 4}
    quantizer = shaken(MultiScaleQuantizer(3, 4, (1, 2), 0.5, 2))
    return VAR(SimpleNamespace(quantizer=quantizer), shaken(VARTransformer(sizes)), {})


def infinity() -> Generator:
    sizes = {"embed_dim": 8, "depth": 2, "num_heads": 2, "text_channels": 128, "text_maxlen": 6, "codebook_dim": 2}
    sizes |= {
        "scale_schedule": [[1, 1, 1], [1, 2, 2]],
        "rope_grid_hw": [2, 2],
        "text_model": "bytes",
        "mlp_ratio": 32.0,
    }
    return Infinity(SimpleNamespace(quantizer=BinaryQuantizer(2, (1, 2))), shaken(InfinityTransformer(sizes)), {})
