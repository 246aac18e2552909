"""Images of a data set's shape and number with made-up pixels, for timing alone.

What a step costs does not depend on what the images show (of the paper's rows only DCN's solver looks at them). All
images are windows of one tall strip of noise, each a row further down: as many as the data set has, in the memory of a
few, so that an epoch's order, its crops and its look-ups are those of the real set.
"""

from dataclasses import dataclass

import numpy as np

from workflow.data.prepared import Split
from workflow.protocol.datasets import DatasetInfo

TEST_IMAGES = 8  # none of them is on the clock


@dataclass(frozen=True)
class MadeUpImages:
    """In the place of a prepared data set. mean_image: float32 (H, W, C), of pixels in 0..1."""

    train: Split
    test: Split
    mean_image: np.ndarray


def _split(info: DatasetInfo, count: int, generator: np.random.Generator) -> Split:
    """Images, uint8 (count, H, W, C), a view that must not be written to; labels, int64 (count,)."""
    height, width, channels = info.shape
    strip = generator.integers(0, 256, (count + height - 1, width, channels), dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(strip, height, axis=0)  # (count, W, C, H)
    return Split(windows.transpose(0, 3, 1, 2), generator.integers(0, info.classes, count, dtype=np.int64))


def made_up_images(info: DatasetInfo) -> MadeUpImages:
    """As many training images as the data set has; the same ones every time."""
    generator = np.random.default_rng(0)
    train, test = _split(info, info.train_images, generator), _split(info, TEST_IMAGES, generator)
    return MadeUpImages(train, test, np.full(info.shape, 0.5, np.float32))
