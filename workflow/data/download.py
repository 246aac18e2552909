"""Downloads through torchvision: its addresses, its checksums, its progress bar.

A file is downloaded into a folder of its own and moved into place when its checksum is right, so that a broken download leaves nothing
and the next attempt begins anew.
"""

import shutil
import socket
from pathlib import Path

from workflow.data.checksums import CHECKSUMS
from workflow.support.errors import UserError
from workflow.support.locks import locked

DOWNLOADABLE = ("mnist", "cifar10", "stl10")
SILENCE = 60  # seconds without a byte after which a connection counts as dead


def _addresses(dataset: str) -> dict[str, list[str]]:
    """File name -> addresses to try; empty for what may not be downloaded freely."""
    from torchvision import datasets

    if dataset == "mnist":
        return {name: [mirror + name for mirror in datasets.MNIST.mirrors] for name, _ in datasets.MNIST.resources}
    if dataset == "cifar10":
        return {datasets.CIFAR10.filename: [datasets.CIFAR10.url]}
    if dataset == "stl10":
        return {datasets.STL10.filename: [datasets.STL10.url]}
    return {}


def _fetch(addresses: list[str], folder: Path, name: str, md5: str) -> str:
    """Download one file from the first address that has it; the last failure in words, or nothing."""
    from torchvision.datasets.utils import download_url

    reason = "no address"
    for address in addresses:
        try:
            download_url(address, str(folder), filename=name, md5=md5)
            return ""
        except (OSError, RuntimeError, ValueError) as error:  # no network, refused, or a wrong checksum
            (folder / name).unlink(missing_ok=True)
            reason = f"{address}: {' '.join(str(error).split())[:120]}"
    return reason


def download(dataset: str, folder: Path) -> str:
    """Download a data set into folder/DATASET/. Returns why it could not be, for the message; nothing where it could."""
    if dataset not in DOWNLOADABLE:
        return ""
    try:
        files = _addresses(dataset)
    except (ImportError, OSError, RuntimeError) as error:  # not there, or made for another torch
        return f", nor could it be downloaded (torchvision cannot be used: {' '.join(str(error).split())[:120]})"
    place = folder / dataset
    before = socket.getdefaulttimeout()
    with locked(folder / f".{dataset}.download.lock"):
        temporary = place / ".download"
        shutil.rmtree(temporary, ignore_errors=True)
        made = not place.exists()
        socket.setdefaulttimeout(SILENCE)
        try:
            temporary.mkdir(parents=True)
            for name, addresses in files.items():
                if not (place / name).exists():
                    if reason := _fetch(addresses, temporary, name, CHECKSUMS[dataset][name]):
                        return f", nor could it be downloaded ({reason})"
                    (temporary / name).rename(place / name)
            return ""
        except OSError as error:
            raise UserError(
                f"{place} cannot be written ({error.strerror}): make room, or choose another folder."
            ) from None
        finally:
            socket.setdefaulttimeout(before)
            shutil.rmtree(temporary, ignore_errors=True)
            if made and place.exists() and not any(place.iterdir()):
                place.rmdir()
