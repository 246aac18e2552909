"""The data sets of config/datasets.yaml: what is known of each before a file of it is seen. Torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass

from workflow.support.errors import UserError
from workflow.support.files import ROOT, read_yaml


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """Image size, classes, counts, and normalisation constants per channel, of pixels in 0..1."""

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

    @classmethod
    def from_json(cls, values: Mapping) -> "DatasetInfo":
        """From plain values; lists become tuples."""
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})


def _read() -> dict[str, DatasetInfo]:
    path = ROOT / "config" / "datasets.yaml"
    try:
        found = {name: DatasetInfo.from_json({"name": name, **values}) for name, values in read_yaml(path).items()}
    except (TypeError, KeyError) as error:
        raise UserError(f"{path} has an entry that is no data set ({error}): give it the keys of the others.") from None
    for name, info in found.items():
        if not len(info.mean) == len(info.std) == info.channels:
            raise UserError(f"{path}, {name}: give a mean and a std for each of its {info.channels} channels.")
    return found


DATASETS: dict[str, DatasetInfo] = _read()
