"""One step of inverse fine-tuning on a golden generated image."""

from __future__ import annotations

import torch
from torch import nn

from iarbench.checks.families import Golden


def finetuning_step(golden: Golden) -> dict[str, float]:
    """Loss, gradient norms and loss after one Adam step of inverse fine-tuning on the golden generated image.

    Per-parameter norms are named by our parameter names. Changes the model's encoder.
    """
    model, io, stored = golden.model, golden.tensors, golden.scalars["finetune"]
    tokenizer, target = model.tokenizer, io["gen_fhat"]
    low, high = tokenizer.native_range
    png8 = ((io["gen_image"] - low) / (high - low) * 255).floor() / 255  # the official script truncates
    loss_png8 = nn.functional.mse_loss(tokenizer.encode(png8), target)
    tokenizer.requires_grad_(False)
    trained: dict[str, nn.Parameter] = {}
    for name in tokenizer.inverse_modules:
        module = tokenizer.get_submodule(name).requires_grad_(True)
        trained |= {f"{name}.{key}": p for key, p in module.named_parameters()}
    settings = stored["optimizer"]
    optimizer = torch.optim.Adam(trained.values(), lr=settings["lr"], betas=tuple(settings["betas"]))
    loss = nn.functional.mse_loss(tokenizer.encode_native(io["gen_image"]), target)
    loss.backward()
    norms = {key: p.grad.norm() for key, p in trained.items() if p.grad is not None}
    result = {"loss": loss.item(), "grad_norm": torch.stack(list(norms.values())).norm().item()}
    result |= {f"grad_norm {key}": norm.item() for key, norm in norms.items()}
    optimizer.step()
    with torch.no_grad():
        after = nn.functional.mse_loss(tokenizer.encode_native(io["gen_image"]), target)
    return result | {"loss_after_one_adam_step": after.item(), "loss_png8": loss_png8.item()}
