"""Made-up images in the shapes of the real data sets, for a first look and for tests: nothing to download, nothing stored.

An image is the sum of three gratings, fine, middle and coarse, in noise. A class is one orientation at each scale
(its number, written in base m with a digit a scale), and many pairs of classes differ at one scale only: a network has
to see both a few pixels and a large part of the image, which is what kernel sizes are about. Phases vary from image to
image, so that no single pixel tells the class.
"""

from collections.abc import Iterator

import numpy as np

from workflow.protocol.datasets import DatasetInfo
from workflow.support.code_digests import module_digest
from workflow.support.errors import UserError

CHUNK = 512
PERIODS = (1 / 10, 1 / 4, 1 / 1.5)  # of a grating, as parts of the image: 3, 8 and 21 pixels of 32
NOISE = 0.6  # standard deviation, where a grating's amplitude is about 1
DEFAULTS = {"train": 512, "test": 256, "seed": 0}


def settings(given: dict | None) -> dict:
    """Counts, seed and the generator's digest: all that the images depend on. Raises UserError for an unknown or wrong entry."""
    given = given or {}
    for key, value in given.items():
        if key not in DEFAULTS:
            raise UserError(f"synthetic.{key} is unknown: the entries are {', '.join(DEFAULTS)}.")
        if not isinstance(value, int) or value < (key != "seed"):
            raise UserError(f"synthetic.{key} is {value!r}: give a whole number{'' if key == 'seed' else ' above 0'}.")
    return {**DEFAULTS, **given, "generator": module_digest(__name__)}


def _digits(labels: np.ndarray, classes: int) -> tuple[np.ndarray, int]:
    """The orientation index of each label at each scale, (n, 3), and their number m: the smallest with m**3 >= classes."""
    base = next(m for m in range(2, classes + 2) if m**3 >= classes)
    return labels[:, None] // base ** np.arange(3) % base, base


def _labels(info: DatasetInfo, split: str, count: int, seed: int) -> np.ndarray:
    """Balanced labels in random order; with fewer images than classes, both splits have the same classes."""
    classes = np.random.default_rng([seed, 0]).permutation(info.classes)
    order = np.random.default_rng([seed, 1, split == "train"]).permutation(count)
    return classes[np.arange(count) % info.classes][order].astype(np.int64)


def _images(info: DatasetInfo, labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """uint8 (n, H, W, C). A grating is the product of a wave along y and one along x, as complex numbers."""
    count, size = len(labels), info.image_size
    digits, base = _digits(labels, info.classes)
    angles = np.pi * (digits + 0.15 * random.uniform(-1, 1, digits.shape)) / base  # (n, 3)
    frequency = 2 * np.pi / (np.array(PERIODS) * size)
    phase = random.uniform(0, 2 * np.pi, (count, 3, 1))
    along = np.arange(size) - (size - 1) / 2
    y = np.exp(1j * (frequency * np.sin(angles))[..., None] * along + 1j * phase).astype(np.complex64)  # (n, 3, H)
    x = np.exp(1j * (frequency * np.cos(angles))[..., None] * along).astype(np.complex64)  # (n, 3, W)
    y *= random.uniform(0.7, 1.3, (count, 3, 1)).astype(np.float32)
    real, imaginary = np.concatenate([y.real, -y.imag], axis=1), np.concatenate([x.real, x.imag], axis=1)
    pattern = np.matmul(real.transpose(0, 2, 1), imaginary)[..., None]  # (n, H, W, 1)
    tint = random.uniform(0.6, 1.0, (count, 1, 1, info.channels)).astype(np.float32)
    image = random.standard_normal((count, *info.shape), dtype=np.float32)
    image *= NOISE
    image += pattern * tint
    image *= 36
    image += 127.5
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def chunks(info: DatasetInfo, split: str, settings: dict) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The images and labels of a split, chunk by chunk; the same for the same settings."""
    labels = _labels(info, split, settings[split], settings["seed"])
    name = int.from_bytes(info.name.encode()[:8], "big")
    for number, start in enumerate(range(0, len(labels), CHUNK)):
        random = np.random.default_rng([settings["seed"], 2, split == "train", number, name])
        part = labels[start : start + CHUNK]
        yield _images(info, part, random), part
