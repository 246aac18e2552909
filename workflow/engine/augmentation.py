"""Augmentations of grey or colour images beyond crops and flips, for whole batches on the device.

* `capsnet`               Mazzia et al. 2021, in this order: rotation of half the images, shift within the empty margin, horizontal
                          squish, a black patch of 4x4.
* `perspective-rotation`  Kabir et al. 2020: torchvision's random perspective, then a rotation by at most 10 degrees.

Values are pixels in 0..255, black is 0. Everything random is drawn on the CPU when an epoch begins, a row of numbers an image; what
is done with them waits for nothing on the host. Geometry follows torchvision: a pixel's middle lies at + 0.5, outside is black.

Open: N, of which the first paper's amounts are made, is clamped to (-1, 1); shifts are whole pixels; the Lanczos filter is widened
where it shrinks, as in Pillow; the rotation of `perspective-rotation` takes the nearest pixel, torchvision's default.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

EMPTY = 0.5  # a margin's pixels are darker than this, of 255: a rotation by 0 degrees leaves traces of 1e-4
DEVIATION = 0.33  # of N
LARGEST_ANGLE, LARGEST_SQUISH, PATCH, PATCH_FROM, PATCH_TO = 30, 7, 4, 4, 22
DISTORTION, SMALL_ANGLE = 0.5, 10.0


def _sample(images: Tensor, x: Tensor, y: Tensor, mode: str) -> Tensor:
    """images [B, C, H, W] at the places x, y [B, H, W] in pixels from the upper left corner of the image."""
    height, width = images.shape[2:]
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1)
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def _middles(images: Tensor) -> tuple[Tensor, Tensor]:
    """Where the pixels' middles are: x [W] and y [H, 1]."""
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device, dtype=images.dtype) + 0.5
    return x, torch.arange(height, device=images.device, dtype=images.dtype)[:, None] + 0.5


def rotate(images: Tensor, degrees: Tensor, mode: str = "bilinear") -> Tensor:
    """images [B, C, H, W] turned counter-clockwise about their centres by degrees [B]; mode: bilinear or nearest."""
    height, width = images.shape[2:]
    angle = torch.deg2rad(degrees)[:, None, None]
    cos, sin = angle.cos(), angle.sin()
    x, y = _middles(images)
    x, y = x - width / 2, y - height / 2
    return _sample(images, cos * x - sin * y + width / 2, sin * x + cos * y + height / 2, mode)


def perspective(images: Tensor, coefficients: Tensor) -> Tensor:
    """images [B, C, H, W] seen through the homographies [B, 8] of `homographies`; bilinear."""
    a, b, c, d, e, f, g, h = (part[:, None, None] for part in coefficients.unbind(1))
    x, y = _middles(images)
    scale = g * x + h * y + 1
    return _sample(images, (a * x + b * y + c) / scale, (d * x + e * y + f) / scale, "bilinear")


def homographies(start: Tensor, end: Tensor) -> Tensor:
    """[N, 8], float64: (x, y) of the output comes from ((ax + by + c) / s, (dx + ey + f) / s), s = gx + hy + 1.

    start, end: [N, 4, 2], corners of the input and where they go in the output.
    """
    start, end = start.double(), end.double()
    one, zero = torch.ones_like(end[..., 0]), torch.zeros_like(end[..., 0])
    (u, v), (x, y) = start.unbind(-1), end.unbind(-1)
    for_u = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], dim=-1)
    for_v = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], dim=-1)
    return torch.linalg.solve(torch.cat([for_u, for_v], 1), torch.cat([u, v], 1))


def shift(images: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Move what is in images [B, C, H, W] by a share of the empty margin on that side, in whole pixels towards zero.

    right, down: shares [B] in -1..1; a negative share moves to the left and up.
    """
    occupied = images.amax(1) > EMPTY  # [B, H, W]; a move along one axis leaves the other's margins as they are
    for axis, share in ((3, right), (2, down)):
        length = images.shape[axis]
        filled = occupied.any(1 if axis == 3 else 2).int()
        before, after = filled.argmax(1), filled.flip(1).argmax(1)
        moved = (share * torch.where(share > 0, after, before)).trunc().long()
        # What leaves on one side comes back on the other, and is empty.
        places = (torch.arange(length, device=images.device) - moved[:, None]) % length
        places = places[:, None, None, :] if axis == 3 else places[:, None, :, None]
        images = images.gather(axis, places.expand_as(images))
    return images


def lanczos(length: int, shorter: int) -> Tensor:
    """The matrix [shorter, length] that resamples a row with the Lanczos filter of three lobes."""
    scale = length / shorter
    middle = (torch.arange(shorter, dtype=torch.float64)[:, None] + 0.5) * scale
    distance = (torch.arange(length, dtype=torch.float64) + 0.5 - middle) / scale
    weights = torch.sinc(distance) * torch.sinc(distance / 3) * (distance.abs() < 3)
    return weights / weights.sum(1, keepdim=True)


def squish_matrices(width: int) -> Tensor:
    """[LARGEST_SQUISH, 2, width, width]: rows made narrower by 1, 2, ... pixels and put w // 2 + {0, 1} from the left."""
    matrices = torch.zeros(LARGEST_SQUISH, 2, width, width)
    for less in range(1, LARGEST_SQUISH + 1):
        for extra in (0, 1):
            left = less // 2 + extra
            matrices[less - 1, extra, left : left + width - less] = lanczos(width, width - less)
    return matrices


def squish(images: Tensor, matrices: Tensor) -> Tensor:
    """images [B, C, H, W] by matrices [B, W, W]; where the filter overshoots, values are cut to 0..255."""
    return (images @ matrices.transpose(1, 2)[:, None]).clamp(0, 255)


def blacken(images: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """images [B, C, H, W] with a black square of PATCH pixels whose upper left corner is at row, column [B]."""
    down = torch.arange(images.shape[2], device=images.device) - row[:, None]
    right = torch.arange(images.shape[3], device=images.device) - column[:, None]
    hit = ((down >= 0) & (down < PATCH))[:, None, :, None] & ((right >= 0) & (right < PATCH))[:, None, None, :]
    return images.masked_fill(hit, 0.0)


class CapsNet:
    """Rotation, shift, squish, patch."""

    numbers = 7  # an image: degrees, shares right and down, squish, its offset, patch row and column

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        if min(height, width) < PATCH_TO + PATCH:
            raise ValueError(
                f"augmentation 'capsnet' is for images of at least {PATCH_TO + PATCH} pixels, not {height} x {width}: "
                "choose another recipe."
            )
        self.matrices = squish_matrices(width).to(device)

    def draw(self, count: int, random: Generator) -> Tensor:
        """[count, 7]"""
        limit = 1 - 1e-6
        normal = (DEVIATION * torch.randn(count, 4, generator=random)).clamp(-limit, limit)
        coin = torch.randint(0, 2, (count, 4), generator=random)
        patch = torch.randint(PATCH_FROM, PATCH_TO + 1, (count, 2), generator=random)
        degrees = (LARGEST_ANGLE * normal[:, 0]).trunc() * coin[:, 0]
        shares = normal[:, 1:3].abs() * (2 * coin[:, 1:3] - 1)
        less = (LARGEST_SQUISH * normal[:, 3].abs()).floor()  # 0 for one pixel
        return torch.cat([degrees[:, None], shares, less[:, None], coin[:, 3:], patch], 1)

    def __call__(self, images: Tensor, numbers: Tensor) -> Tensor:
        degrees, right, down, less, extra, row, column = numbers.unbind(1)
        images = shift(rotate(images, degrees), right, down)
        images = squish(images, self.matrices.flatten(0, 1).index_select(0, (2 * less + extra).long()))
        return blacken(images, row, column)


class PerspectiveRotation:
    """Perspective of half the images, then a rotation of all."""

    numbers = 9  # an image: the homography, degrees

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        self.height, self.width = height, width

    def draw(self, count: int, random: Generator) -> Tensor:
        """[count, 9]"""
        size = torch.tensor([self.width, self.height])
        reach = (DISTORTION * (size // 2)).long()
        inwards = torch.stack(
            [torch.randint(0, int(r) + 1, (count, 4), generator=random) for r in reach], -1
        )  # [N, 4, 2]: how far each corner moves
        corner = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]])
        start = (corner * (size - 1)).expand(count, 4, 2)
        chosen = torch.randint(0, 2, (count, 1, 1), generator=random)
        end = start + chosen * inwards * (1 - 2 * corner)
        degrees = SMALL_ANGLE * (2 * torch.rand(count, 1, generator=random) - 1)
        return torch.cat([homographies(start, end).float(), degrees], 1)

    def __call__(self, images: Tensor, numbers: Tensor) -> Tensor:
        return rotate(perspective(images, numbers[:, :8]), numbers[:, 8], "nearest")


KINDS: dict[str, type[CapsNet] | type[PerspectiveRotation]] = {
    "capsnet": CapsNet,
    "perspective-rotation": PerspectiveRotation,
}


def augmentation(name: str, height: int, width: int, device: torch.device) -> CapsNet | PerspectiveRotation | None:
    """The augmentation `name` of a recipe for images of this size; None for "none". ValueError for another name."""
    if name == "none":
        return None
    if name not in KINDS:
        raise ValueError(f"unknown augmentation '{name}': use none, {', '.join(KINDS)}.")
    return KINDS[name](height, width, device)
