"""Dropout whose random numbers cost a CPU next to nothing; seeds and rates are torch's."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class FastDropout(nn.Module):
    """nn.Dropout whose mask on a CPU takes 16 bits a cell from SFC64; other devices use torch's.

    p: share dropped, kept to 1/65536. Each mask is seeded by torch's generator, so seeds hold.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or not self.p:
            return x
        return functional.dropout(x, self.p) if x.device.type != "cpu" else x * _keep(x, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _keep(x, p: float):
    """1 / (1 - p) on the cells of x to keep and 0 on the others, in x's type."""
    threshold = round(p * 65536) - 32768
    keep = torch.empty(x.shape, dtype=x.dtype)
    torch.ge(_sixteen_bits(x.numel()).view(x.shape), threshold, out=keep)
    return keep.mul_(65536 / (32768 - threshold))


def _sixteen_bits(cells: int) -> torch.Tensor:
    """[cells] int16, every value as likely; torch's own generator takes about twice as long."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    return torch.from_numpy(np.random.SFC64(seed).random_raw(-(-cells // 4)).view(np.int16))[:cells]


def replace_dropout(module: nn.Module) -> nn.Module:
    """The module with every nn.Dropout in it exchanged for a FastDropout of the same rate."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, FastDropout(child.p).train(child.training))
    return module
