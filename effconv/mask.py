"""The modulation mask of a kernel (Eqs. 6, 7): m(i, j) = exp(-((i - c)^2 + (j - c)^2) / v^2), i, j = 1..s, v the soft size.

The mask is what carries the classification loss's gradient to v. It is the outer product of one profile with itself, and is computed
so. Three centres c: "printed" is v / 2, as the paper has it, which with indices from 1 lies half a pixel before the middle;
"centred" is (s + 1) / 2, the middle of the kernel; "soft-centred" is (v + 1) / 2. With "centred" a kernel of size 1 has the
constant mask 1, so that the loss's gradient to its soft size is zero.
"""

import torch
from torch import Tensor

from effconv.same_conv import centre

MASKS = ("gaussian", "none", "fractional")
CENTRES = ("printed", "centred", "soft-centred")


def mask_profiles(soft_sizes: Tensor, sizes: Tensor, longest: int, centre: str = "printed") -> Tensor:
    """One-dimensional profiles exp(-(i - c)^2 / v^2), i = 1..longest: (L,) soft sizes and (L,) sizes -> (L, longest)."""
    if centre == "printed":
        middle = soft_sizes / 2
    elif centre == "centred":
        middle = (sizes.detach() + 1) / 2
    elif centre == "soft-centred":
        middle = (soft_sizes + 1) / 2
    else:
        raise ValueError(f"mask centre is {centre!r}: choose one of {', '.join(CENTRES)}.")
    positions = torch.arange(1, longest + 1, dtype=soft_sizes.dtype, device=soft_sizes.device)
    offsets = (positions - middle.unsqueeze(1)) / soft_sizes.unsqueeze(1)
    return torch.exp(-offsets.square())


def modulation_mask(size: int, soft_size: Tensor | float, centre: str = "printed") -> Tensor:
    """The mask of one kernel: integer size s and soft size v (a scalar, differentiable) -> (s, s)."""
    soft = torch.as_tensor(soft_size)
    if not soft.is_floating_point():
        soft = soft.to(torch.get_default_dtype())
    profile = mask_profiles(soft.reshape(1), soft.new_full((1,), size), size, centre)[0]
    return torch.outer(profile, profile)


def fractional_mask(size: int, inner: int, fraction: Tensor, even_padding: str = "end") -> Tensor:
    """The mask (size, size) of a kernel on its way from `inner` to `size`: 1 where `inner` reaches, `fraction` elsewhere.

    Not in the paper. The kernel is a continuous function of its soft size, its gradient is exact, and a kernel of size 1 sees
    what size 2 would add. `inner` lies in `size` as "same" padding puts both on the same pixels.
    """
    before = centre(size, even_padding) - centre(inner, even_padding)
    covered = torch.zeros(size, size, dtype=torch.bool, device=fraction.device)
    covered[before : before + inner, before : before + inner] = True
    return torch.where(covered, torch.ones_like(fraction), fraction)
