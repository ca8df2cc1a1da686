"""Dropout whose random numbers cost a CPU next to nothing; seeds and rates are torch's."""

import copy
import itertools

import numpy as np
import torch
from torch import library, nn
from torch.nn import functional


class FastDropout(nn.Module):
    """nn.Dropout whose mask on a CPU takes 16 bits a cell from SFC64; other devices use torch's.

    p: share dropped, kept to 1/65536. site: a number of its own within a model, without which a compiler takes two
    dropouts for one. Each mask is seeded by torch's generator, so seeds hold.
    """

    def __init__(self, p: float, site: int = 0):
        super().__init__()
        self.p, self.site = p, site

    def forward(self, x):
        if not self.training or not self.p:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.p)
        return _hashed(x, self.p, self.site) if torch.compiler.is_compiling() else x * _keep(x, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _keep(x, p: float):
    """1 / (1 - p) on the cells of x to keep and 0 on the others, in x's type."""
    threshold = round(p * 65536) - 32768
    keep = torch.empty(x.shape, dtype=x.dtype)
    torch.ge(_sixteen_bits(x.numel()).view(x.shape), threshold, out=keep)
    return keep.mul_(65536 / (32768 - threshold))


def _hashed(x, p: float, site: int):
    """Dropout by a hash of each cell's place (MurmurHash3's finaliser), for a compiler to fuse with its neighbours.

    Its own generator, Philox, is computed a number at a time on a CPU and took most of a training step.
    """
    h = torch.arange(x.numel(), dtype=torch.int32).view(x.shape)
    h = (h ^ ((h >> 16) & 0xFFFF)) * -2048144789 ^ _draw(site)  # 0x85EBCA6B as a signed number
    h = (h ^ ((h >> 13) & 0x7FFFF)) * -1028477387  # 0xC2B2AE35
    h = h ^ ((h >> 16) & 0xFFFF)
    least = round(p * 2**31)
    # the sign of a difference, not a comparison: a compiler keeps the mask for the way back, and bits store slowly
    keep = (1 + (((h & 0x7FFFFFFF) - least) >> 31)).to(torch.bfloat16)
    return x * keep * (2**31 / (2**31 - least))


# An operator of its own, so that a compiler draws it once a call and not once a cell.
@library.custom_op("dsp::draw", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _draw(site: int) -> torch.Tensor:
    return torch.empty((), dtype=torch.int32).random_(-(2**31), 2**31 - 1)


@_draw.register_fake
def _(site):
    return torch.empty((), dtype=torch.int32)


def _sixteen_bits(cells: int) -> torch.Tensor:
    """[cells] int16, every value as likely; torch's own generator takes about twice as long."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    return torch.from_numpy(np.random.SFC64(seed).random_raw(-(-cells // 4)).view(np.int16))[:cells]


def with_fast_dropout(module: nn.Module) -> nn.Module:
    """A copy of the module, sharing its weights, with a FastDropout of the same rate for every nn.Dropout."""
    shared = {id(tensor): tensor for tensor in itertools.chain(module.parameters(), module.buffers())}
    module = copy.deepcopy(module, shared)
    sites = itertools.count()
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, FastDropout(child.p, next(sites)).train(child.training))
    return module
