from __future__ import annotations

import os
import subprocess
import sys

import torch
from torch import nn

from iarbench.nn import threads


def test_small_models_compute_alone_and_large_ones_as_they_were() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads.threads_for(nn.Linear(2, 2)):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        large = nn.Module()
        large.weight = nn.Parameter(torch.zeros(1).expand(threads.SMALL))
        with threads.threads_for(large):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_threads_of_a_command_wait_without_spinning_unless_told_otherwise() -> None:
    code = "import os; from iarbench.cli import main; main(['ls', 'sources']); print(os.environ['OMP_WAIT_POLICY'])"
    for given, found in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        told = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        told |= {"OMP_WAIT_POLICY": given} if given else {}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=told)
        assert done.stdout.split()[-1] == found
