"""Published checksums of the official files, and the comparison.

MNIST, CIFAR-10 and STL-10: the MD5 sums that torchvision checks. Downsampled ImageNet: the SHA-256 sums of its .npz archives that
TensorFlow Datasets checks (imagenet_resized/checksums.tsv); for its pickled batches no trustworthy list is published, so that they
are held to their counts, shapes and labels instead. A file beside the data named FILE.md5 or FILE.sha256, as md5sum and sha256sum
write them, takes the place of the published sum: that is how to use a repacked archive.
"""

import hashlib
from pathlib import Path

from workflow.support.errors import UserError

CHECKSUMS: dict[str, dict[str, str]] = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "cifar10": {
        "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "stl10": {
        "stl10_binary.tar.gz": "91f7769df0f17e558f3565bffb0c7dfb",
        "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
        "train_y.bin": "5a34089d4802c674881badbb80307741",
        "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
        "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
    },
    "imagenet32": {
        "Imagenet32_train_npz.zip": "94226337ecc1b0309d9fcd0167127aaadc931587035fbcb53925235edbaec4fc",
        "Imagenet32_val_npz.zip": "013990e6dec1237dcd1f9beadbab81ead6604cc119af5cacbfb59ae28148377a",
    },
}


def file_digest(path: Path, kind: str) -> str:
    """The hexadecimal digest of a file; `kind` as hashlib names it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def expected(dataset: str, path: Path) -> tuple[str, str] | None:
    """(digest, who says so) for a file; None where nobody does."""
    for kind in ("md5", "sha256"):
        note = path.with_name(f"{path.name}.{kind}")
        if note.is_file():
            words = note.read_text(encoding="utf-8", errors="replace").split()
            if not words or len(words[0]) not in (32, 64):
                raise UserError(
                    f"{note} does not begin with a checksum: write it with `{kind}sum {path.name} > {note.name}`."
                )
            return words[0].lower(), note.name
    if digest := CHECKSUMS.get(dataset, {}).get(path.name):
        return digest, "the published checksum"
    return None


def check(dataset: str, path: Path) -> dict:
    """The record of a file for the manifest: path, bytes, checksum, whether it was compared with anything.

    Raises UserError where the checksum is another than the published one.
    """
    known = expected(dataset, path)
    kind = "md5" if known and len(known[0]) == 32 else "sha256"
    found = file_digest(path, kind)
    if known and found != known[0]:
        raise UserError(
            f"{path} has the {kind} {found} where {known[1]} is {known[0]}: delete it and download it again "
            f"(or, if you repacked it yourself, vouch for it with `{kind}sum {path.name} > {path.name}.{kind}`)."
        )
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        kind: found,
        "verified": known is not None,
        "against": known[1] if known else "nothing: no checksum is published; counts, shapes and labels were checked",
    }
