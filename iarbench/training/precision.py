"""Mixed precision where it is quicker."""

from __future__ import annotations

import torch


def mixed(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 on devices that compute in it; a CPU without AVX-512 emulates it, forty times slower."""
    quick = device.type != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.autocast(device.type, torch.bfloat16, enabled=quick)
