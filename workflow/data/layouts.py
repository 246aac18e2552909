"""Where people have the files of each data set, and under which names; what to say where they are not."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workflow.data import official
from workflow.data.files import Files
from workflow.data.imagefolder import find_split, read_imagefolder
from workflow.protocol.datasets import DatasetInfo
from workflow.support.errors import UserError

IMAGENET_PAGE = "https://image-net.org/download-images (log in, 'Download downsampled image data')"
Names = tuple[tuple[str, ...], ...]  # one entry a file: the names that it may have


@dataclass(frozen=True)
class Layout:
    """One form of a data set: its files, the folders and archives they may lie in, and their reader."""

    title: str
    files: Names
    folders: tuple[str, ...]
    archives: tuple[str, ...]  # patterns of file names
    read: Callable[[Files, str, DatasetInfo], official.Chunks]
    own_folder: bool = False  # names such as train.npz count only inside the data set's own folder


@dataclass(frozen=True)
class Found:
    """A layout with its files in place."""

    layout: Layout
    files: Files
    where: Path

    def paths(self) -> list[Path]:
        """The files and archives on disk, as far as they have names of their own."""
        loose = [path for names in self.layout.files if (path := _loose(self.files, names))]
        return loose + (
            [] if len(loose) == len(self.layout.files) else [archive.path for archive in self.files.archives]
        )


def _plain(names: tuple[str, ...], suffix: str = "") -> Names:
    return tuple((f"{name}{suffix}",) for name in names)


def _mnist() -> tuple[Layout, ...]:
    names = tuple(names for stem in official.MNIST_STEMS.values() for names in official.mnist_names(stem))
    return (Layout("idx files", names, ("", "raw", "MNIST/raw", "MNIST"), (), official.read_mnist),)


def _cifar10() -> tuple[Layout, ...]:
    names = official.CIFAR_FILES["train"] + official.CIFAR_FILES["test"]
    python, binary = ("", "cifar-10-batches-py"), ("", "cifar-10-batches-bin")
    return (
        Layout("python version", _plain(names), python, ("cifar-10-python.tar.gz",), official.read_cifar10),
        Layout(
            "binary version", _plain(names, ".bin"), binary, ("cifar-10-binary.tar.gz",), official.read_cifar10_binary
        ),
    )


def _stl10() -> tuple[Layout, ...]:
    names = _plain(("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"))
    return (Layout("binary version", names, ("", "stl10_binary"), ("stl10_binary.tar.gz",), official.read_stl10),)


def _imagenet32() -> tuple[Layout, ...]:
    names = official.IMAGENET_FILES["train"] + official.IMAGENET_FILES["test"]
    stem, parts = "[Ii]mage[Nn]et32", ("train", "val")
    endings = (".zip", ".tar", ".tar.gz", ".tgz")

    def form(title: str, suffix: str, tag: str, read: Callable) -> Layout:
        folders = (
            "",
            *(f"{case}32_{part}{tag}" for case in ("Imagenet", "ImageNet") for part in parts),
            "train",
            "val",
        )
        patterns = tuple(f"{stem}{part}{tag}{end}" for part in ("", *(f"_{part}" for part in parts)) for end in endings)
        return Layout(title, _plain(names, suffix), folders, patterns, read)

    return (
        form("pickled batches", "", "", official.read_imagenet),
        form(".npz batches", ".npz", "_npz", official.read_imagenet_npz),
    )


NPZ = Layout("train.npz and test.npz", _plain(("train.npz", "test.npz")), ("",), (), official.read_npz, own_folder=True)
IMAGES = Layout("folders of images", (), ("",), (), read_imagefolder, own_folder=True)
LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "mnist": _mnist(), "cifar10": _cifar10(), "stl10": _stl10(), "imagenet32": _imagenet32(),
}  # fmt: skip
ALIASES = {
    "cifar10": ("cifar10", "cifar-10"), "stl10": ("stl10", "stl-10"), "imagenet32": ("imagenet32", "imagenet-32"),
}  # fmt: skip
ADVICE = {
    "mnist": "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz "
    "(or unpacked) from https://ossci-datasets.s3.amazonaws.com/mnist/",
    "cifar10": "cifar-10-python.tar.gz (or cifar-10-batches-py/, or the binary version) from https://www.cs.toronto.edu/~kriz/cifar.html",
    "stl10": "stl10_binary.tar.gz (or stl10_binary/) from https://cs.stanford.edu/~acoates/stl10/",
    "imagenet32": "train_data_batch_1 to train_data_batch_10 and val_data (or the archives that hold them, Imagenet32_train.zip and "
    f"Imagenet32_val.zip, or their _npz forms) after registering at {IMAGENET_PAGE}",
}


def _loose(files: Files, names: tuple[str, ...]) -> Path | None:
    return next((path for name in names if (path := files.loose(name))), None)


def _roots(dataset: str, folder: Path) -> list[tuple[Path, bool]]:
    """(folder to search, whether it is the data set's own), the own ones first."""
    if not folder.is_dir():
        return []
    aliases = ALIASES.get(dataset, (dataset.lower(),))
    own = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.lower() in aliases)
    return [(path, True) for path in own] + [(folder, False)]


def _look(dataset: str, layout: Layout, root: Path) -> tuple[Found | None, list[str]]:
    """The layout under a folder: found, or the names of the files it lacks where it has some of them."""
    if layout is IMAGES:
        there = all(find_split(root, split) for split in ("train", "test"))
        return (Found(layout, Files(dataset, folders=[root]), root) if there else None), []
    folders = [path for name in layout.folders if (path := root / name).is_dir()]
    archives = sorted(
        {path for pattern in layout.archives for folder in folders for path in folder.glob(pattern) if path.is_file()}
    )
    files = Files(dataset, folders=folders, archives=archives)
    lacking = [names[0] for names in layout.files if _loose(files, names) is None]
    if lacking and not archives:
        return None, lacking if len(lacking) < len(layout.files) else []
    paths = Found(layout, files, root).paths()
    where = paths[0] if len(paths) == 1 else paths[0].parent
    return Found(layout, files, where), []


def find(dataset: str, folder: Path) -> tuple[Found | None, list[str]]:
    """(the files of a data set under `folder` or None, the names that are missing where only some are there)."""
    partial: list[str] = []
    try:
        for root, own in _roots(dataset, folder):
            for layout in (*LAYOUTS.get(dataset, ()), NPZ, IMAGES):
                if layout.own_folder and not own:
                    continue
                found, lacking = _look(dataset, layout, root)
                if found:
                    return found, []
                partial = partial or lacking
    except OSError as error:
        raise UserError(
            f"the folder of the data sets, {folder}, cannot be read ({error.strerror}): free it, or name another by the key 'data'."
        ) from None
    return None, partial


def missing(info: DatasetInfo, folder: Path, lacking: list[str], download: str = "") -> UserError:
    """The error for a data set that is not there: where it was looked for, under which names, and where to get it."""
    start = f"{', '.join(lacking)} of {info.title} missing" if lacking else f"{info.title} not found"
    advice = f"{ADVICE[info.name]}, or " if info.name in ADVICE else ""
    any_form = "train.npz and test.npz, or train/CLASS/*.png and test/CLASS/*.png"
    place = folder / info.name
    return UserError(f"{start} in {folder} or {place}{download}: put {advice}{any_form}, into {place}.")
