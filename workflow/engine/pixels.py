"""Images as bytes on the device; crops, flips and normalisation there, a batch at a time.

The training set lies on the device as one tensor of words (a pixel's 3 or 4 channels in one 32-bit word, 1 channel in a byte),
padded once. All its crops are a strided view [N, 2p+1, 2p+1, H, W], so a batch of random crops is one gather by (image, dy, dx).
Where the padded set would be large on a CPU, the images stay in their memory-mapped file and each batch is padded by itself.
Everything random about an epoch is drawn at its start (see randomness.py). Batches are float32, channels-last in memory.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workflow.engine.augmentation import augmentation
from workflow.engine.normalisation import Normalisation
from workflow.engine.randomness import generator

RESIDENT_BYTES = 1 << 30  # largest padded training set that is kept whole in a CPU process


@dataclass(frozen=True)
class Batch:
    """What a step takes from an epoch's plan: image numbers, crop offsets and flips, each [B], and the numbers that a further
    augmentation goes by, [B, n], on the device."""

    image: Tensor
    row: Tensor
    column: Tensor
    flip: Tensor
    warp: Tensor


def as_tensor(array: np.ndarray) -> Tensor:
    """A tensor over the array's own memory; a read-only memory map stays one and must only be read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(array)


def to_words(images: Tensor) -> Tensor:
    """uint8 [N, H, W, C] to one word a pixel: uint8 [N, H, W] for C = 1, int32 for C = 2..4."""
    channels = images.shape[-1]
    if channels == 1:
        return images[..., 0].contiguous()
    return F.pad(images, (0, 4 - channels)).contiguous().view(torch.int32)[..., 0]


def to_bytes(words: Tensor, channels: int) -> Tensor:
    """The inverse of `to_words`: uint8 [N, H, W, C]."""
    if channels == 1:
        return words[..., None]
    return words.contiguous().view(torch.uint8).view(*words.shape, 4)[..., :channels]


def pad_words(words: Tensor, pad: int, mode: str) -> Tensor:
    """Words [N, H, W] with `pad` more on every side: zero, or reflected without repeating the edge."""
    if pad == 0:
        return words
    if mode == "zero":
        return F.pad(words, (pad, pad, pad, pad))
    if mode != "reflect":
        raise ValueError(f"unknown padding '{mode}': use zero or reflect.")
    for axis in (1, 2):
        length = words.shape[axis]
        index = torch.arange(-pad, length + pad, device=words.device).abs()
        words = words.index_select(axis, torch.where(index < length, index, 2 * (length - 1) - index))
    return words


class TrainingImages:
    """The training set of one stage, with its recipe's augmentation.

    images: uint8 [N, H, W, C]; labels: int64 [N]. `passes` 2 shows every image once mirrored and once not.
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, *, normalisation: Normalisation, device: torch.device, batch_size: int,
        seed: int, stage: str, pad: int = 0, pad_mode: str = "none", flip: str = "none", drop_last: bool = False,
        augment: str = "none",
    ):  # fmt: skip
        self.count, self.height, self.width, self.channels = images.shape
        if self.channels > 4:
            raise ValueError(f"images have {self.channels} channels: 1 to 4 are supported.")
        self.device, self.batch_size, self.seed, self.stage = device, batch_size, seed, stage
        self.pad, self.pad_mode, self.flip = pad, pad_mode, flip
        self.augmentation = augmentation(augment, self.height, self.width, device)
        self.passes = 2 if flip == "both" else 1
        shown = self.passes * self.count
        self.steps = shown // batch_size if drop_last and shown >= batch_size else -(-shown // batch_size)
        self.shown = min(shown, self.steps * batch_size)  # images an epoch trains on
        self.labels = as_tensor(labels).to(device)
        self._source = as_tensor(images)
        self._words: Tensor | None = None
        padded = self.count * (self.height + 2 * pad) * (self.width + 2 * pad) * (1 if self.channels == 1 else 4)
        if device.type == "cuda" or padded <= RESIDENT_BYTES:
            self._words = self._resident()
        # One buffer for every batch: fresh memory for each costs more in page faults than all the arithmetic.
        self._buffer = torch.empty(batch_size, self.height, self.width, self.channels, device=device)
        if self._words is None:
            frame = (batch_size, self.height + 2 * pad, self.width + 2 * pad)
            # A batch's padded words, whose border stays zero, and its bytes with room for the last pixel's fourth.
            self._frame = torch.zeros(frame, dtype=torch.uint8 if self.channels == 1 else torch.int32)
            self._bytes = torch.zeros(batch_size * self.height * self.width * self.channels + 4, dtype=torch.uint8)
        self._prepare_normalisation(normalisation)

    def _resident(self, chunk: int = 20_000) -> Tensor:
        """The whole set padded, filled in chunks: the parts of a memory-mapped file are in memory one at a time."""
        size = (self.count, self.height + 2 * self.pad, self.width + 2 * self.pad)
        words = torch.empty(size, dtype=torch.uint8 if self.channels == 1 else torch.int32, device=self.device)
        for start in range(0, self.count, chunk):
            part = to_words(self._source[start : start + chunk].to(self.device))
            words[start : start + chunk] = pad_words(part, self.pad, self.pad_mode)
        return words

    def _prepare_normalisation(self, normalisation: Normalisation) -> None:
        """Constants laid out for whole images: one long row is several times faster than broadcasting over three channels."""
        pixels = self.height * self.width
        self._scale, self._shift = (
            c.repeat(pixels).to(self.device) for c in (normalisation.scale, normalisation.shift)
        )
        self._means: Tensor | None = None
        if normalisation.mean_image is not None:
            # The mean image is padded, cropped and mirrored with the image that it is taken from: all its forms, once.
            mean = normalisation.mean_image.permute(2, 0, 1)  # [C, H, W]
            mean = torch.stack([pad_words(channel[None], self.pad, self.pad_mode)[0] for channel in mean])
            crops = mean.unfold(1, self.height, 1).unfold(2, self.width, 1)  # [C, 2p+1, 2p+1, H, W]
            crops = torch.stack([crops, crops.flip(4)]).permute(0, 2, 3, 4, 5, 1)  # [2, 2p+1, 2p+1, H, W, C]
            self._means = crops.reshape(-1, pixels * self.channels).to(self.device)

    def epoch(self, number: int) -> Batch:
        """The plan of an epoch (from 1): order, offsets and flips of all its images, in this order, on the device."""
        order = torch.randperm(self.passes * self.count, generator=self._generator("order", number))
        if self.flip == "random":
            flip = torch.randint(0, 2, (len(order),), generator=self._generator("flip", number)).bool()
        else:
            flip = order >= self.count  # the second pass's images are the mirrored ones; none where there is one pass
        crops = torch.randint(0, 2 * self.pad + 1, (2, len(order)), generator=self._generator("crop", number))
        warp = torch.zeros(len(order), 0)
        if self.augmentation:
            warp = self.augmentation.draw(len(order), self._generator("augmentation", number))
        return Batch(*(part.to(self.device) for part in (order % self.count, crops[0], crops[1], flip, warp)))

    def _generator(self, purpose: str, epoch: int) -> torch.Generator:
        return generator(self.seed, self.stage, purpose, epoch)

    def step(self, plan: Batch, step: int) -> Batch:
        """The part of an epoch's plan for step 0, 1, ..."""
        part = slice(step * self.batch_size, min((step + 1) * self.batch_size, self.shown))
        return Batch(*(whole[part] for whole in vars(plan).values()))

    def _pad_batch(self, image: Tensor) -> Tensor:
        """Padded words [B, H+2p, W+2p] of images that lie in the memory-mapped file.

        A word starts at each pixel's first byte and takes four: what follows the channels belongs to the next pixel and is not looked
        at. NumPy copies such overlapping, unaligned words seven times faster than torch copies single bytes.
        """
        count, pad, channels = len(image), self.pad, self.channels
        source = self._bytes[: count * self.height * self.width * channels].view(count, -1)
        torch.index_select(self._source.view(self.count, -1), 0, image, out=source)
        words = self._frame[:count]
        inner = words[:, pad : pad + self.height, pad : pad + self.width].numpy()
        strides = (self.height * self.width * channels, self.width * channels, channels)
        np.copyto(inner, np.ndarray(inner.shape, inner.dtype, self._bytes.numpy(), strides=strides))
        if self.pad_mode == "reflect":
            for axis, length in ((1, self.height), (2, self.width)):
                for step in range(1, pad + 1):
                    words.select(axis, pad - step).copy_(words.select(axis, pad + step))
                    words.select(axis, pad + length - 1 + step).copy_(words.select(axis, pad + length - 1 - step))
        return words

    def load(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch's images, float32 [B, C, H, W] in channels-last memory, and labels [B]. The next call overwrites the images."""
        if self._words is None:
            words, image = self._pad_batch(batch.image), torch.arange(len(batch.image))
        else:
            words, image = self._words, batch.image
        if self.pad:
            crops = words.unfold(1, self.height, 1).unfold(2, self.width, 1)  # [N, 2p+1, 2p+1, H, W]
            words = crops[image, batch.row, batch.column]
        else:
            words = words.index_select(0, image)
        if self.flip != "none":
            words = torch.where(batch.flip[:, None, None], words.flip(2), words)
        values = self._buffer[: len(words)].copy_(to_bytes(words, self.channels))
        if self.augmentation:
            values.copy_(self.augmentation(values.permute(0, 3, 1, 2), batch.warp).permute(0, 2, 3, 1))
        rows = values.view(len(words), -1).mul_(self._scale).add_(self._shift)
        if self._means is not None:
            side = 2 * self.pad + 1
            rows.sub_(self._means.index_select(0, (batch.flip * side + batch.row) * side + batch.column))
        return values.permute(0, 3, 1, 2), self.labels.index_select(0, batch.image)


class TestImages:
    """The test set: normalised as the training set is, never augmented, in order, the last partial batch kept."""

    __test__ = False  # not a test case, whatever its name

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        normalisation: Normalisation,
        device: torch.device,
        batch_size: int,
    ):
        self.count, self.batch_size, self.device = len(images), batch_size, device
        self._source = as_tensor(images)
        if device.type == "cuda":
            self._source = self._source.to(device)
        self.labels = as_tensor(labels).to(device)
        self._scale, self._shift = normalisation.scale.to(device), normalisation.shift.to(device)
        self._mean = None if normalisation.mean_image is None else normalisation.mean_image.to(device)

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def batches(self):
        """Yield (images float32 [B, C, H, W] in channels-last memory, labels [B])."""
        for start in range(0, self.count, self.batch_size):
            values = self._source[start : start + self.batch_size].float().mul_(self._scale).add_(self._shift)
            if self._mean is not None:
                values.sub_(self._mean)
            yield values.permute(0, 3, 1, 2), self.labels[start : start + self.batch_size]
