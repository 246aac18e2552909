"""Arrays written as they come, a chunk at a time: plain appends to .npy files, so that memory stays at one chunk.

The checksum and the sums behind the means are taken on the way. Sums are exact: 256 images at a time, squares of bytes stay below
2**24 and are whole numbers in float32; those partial sums are added in float64.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from workflow.support.errors import UserError

HEADER = 128  # bytes: NumPy pads headers to multiples of 64, and those of images take two, whatever their number
BLOCK = 256


class SplitWriter:
    """Writes FOLDER/images.npy (uint8, NHWC) and FOLDER/labels.npy (int64) of one split."""

    def __init__(self, folder: Path, *, shape: tuple[int, int, int], classes: int, moments: bool) -> None:
        folder.mkdir(parents=True)
        self.folder, self.shape, self.classes = folder, shape, classes
        self.count = 0
        self.labels: list[np.ndarray] = []
        self.digest = hashlib.sha256()
        size = int(np.prod(shape)) if moments else 0
        self.moments, self.sums = moments, (np.zeros(size), np.zeros(size))
        self.block = np.empty((BLOCK, size), np.float32)
        self.file = open(folder / "images.npy", "wb")  # noqa: SIM115 - closed by finish() or close()
        self.file.write(b"\0" * HEADER)

    def add(self, images: np.ndarray, labels: np.ndarray, where: object) -> None:
        """Append a chunk. Raises UserError where its shape or a label is not the data set's; `where` names the source."""
        if images.dtype != np.uint8 or images.shape[1:] != self.shape or labels.shape != images.shape[:1]:
            raise UserError(
                f"{where} holds images {images.dtype} {images.shape} with labels {labels.shape}, not bytes (n, "
                f"{', '.join(map(str, self.shape))}): these are not the files of this data set; download them again."
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.classes:
            wrong = labels[(labels < 0) | (labels >= self.classes)][0]
            raise UserError(
                f"{where} has a label outside its {self.classes} classes ({wrong}, counted from 0): download it again."
            )
        content = np.ascontiguousarray(images)
        self.digest.update(content.data)
        self.file.write(content.data)
        self.labels.append(labels.astype(np.int64))
        self.count += len(images)
        if self.moments:
            self._accumulate(content.reshape(len(content), -1))

    def _accumulate(self, rows: np.ndarray) -> None:
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            block = self.block[: len(part)]
            np.copyto(block, part)
            self.sums[0][:] += block.sum(axis=0)
            np.square(block, out=block)
            self.sums[1][:] += block.sum(axis=0)

    def finish(self) -> dict:
        """Complete the files and describe the split."""
        self.file.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)
        if self.file.tell() != HEADER:
            raise AssertionError(f"NumPy wrote a header of {self.file.tell()} bytes")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.close()
        labels = np.concatenate(self.labels) if self.labels else np.zeros(0, np.int64)
        np.save(self.folder / "labels.npy", labels)
        return {
            "images": self.count,
            "shape": [self.count, *self.shape],
            "sha256_images": self.digest.hexdigest(),
            "sha256_labels": hashlib.sha256(labels.tobytes()).hexdigest(),
            "class_counts": np.bincount(labels, minlength=self.classes).tolist(),
        }

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    def mean_image(self) -> np.ndarray:
        """Per-pixel mean, float32 (H, W, C), of pixels in 0..1."""
        return (self.sums[0] / (255 * self.count)).astype(np.float32).reshape(self.shape)

    def channel_moments(self) -> tuple[list[float], list[float]]:
        """Mean and (population) standard deviation per channel, of pixels in 0..1."""
        total = self.count * self.shape[0] * self.shape[1]
        first, second = (sums.reshape(-1, self.shape[2]).sum(axis=0) / total for sums in self.sums)
        return (first / 255).tolist(), (np.sqrt(np.maximum(second - first**2, 0)) / 255).tolist()
