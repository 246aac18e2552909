"""The data sets: image size, classes, counts and normalisation constants. No torch here.

The constants are those of FlexConv's published commands (rjbruin/flexconv, experiments/readme.md), which the EffConv experiments
follow. They are used as published, although for CIFAR-10 and ImageNet-32 they are ImageNet's, not the set's own; a set's own mean
and deviation stand in its manifest.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before a file of it is seen. Means and deviations are per channel, of pixels in 0..1."""

    name: str
    title: str
    classes: int
    image_size: int  # height and width in pixels
    channels: int
    train_images: int
    test_images: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image, as stored."""
        return (self.image_size, self.image_size, self.channels)

    def images(self, split: str) -> int:
        """The number of images of "train" or "test"."""
        return {"train": self.train_images, "test": self.test_images}[split]


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

DATASETS: dict[str, DatasetInfo] = {
    "mnist": DatasetInfo(
        name="mnist",
        title="MNIST",
        classes=10,
        image_size=28,
        channels=1,
        train_images=60_000,
        test_images=10_000,
        mean=(0.1307,),
        std=(0.3081,),
    ),
    "cifar10": DatasetInfo(
        name="cifar10",
        title="CIFAR-10",
        classes=10,
        image_size=32,
        channels=3,
        train_images=50_000,
        test_images=10_000,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    ),
    "stl10": DatasetInfo(
        name="stl10",
        title="STL-10",
        classes=10,
        image_size=96,
        channels=3,
        train_images=5_000,
        test_images=8_000,
        mean=(0.4467, 0.4398, 0.4066),
        std=(0.2603, 0.2566, 0.2713),
    ),
    "imagenet32": DatasetInfo(
        name="imagenet32",
        title="ImageNet-32",
        classes=1000,
        image_size=32,
        channels=3,
        train_images=1_281_167,
        test_images=50_000,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    ),
}

# The other sizes of downsampled ImageNet: in no table of the suite, prepared by the same readers.
OTHER_SIZES: dict[str, DatasetInfo] = {
    f"imagenet{size}": replace(
        DATASETS["imagenet32"], name=f"imagenet{size}", title=f"ImageNet-{size}", image_size=size
    )
    for size in (16, 64)
}
