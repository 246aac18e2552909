"""One integer seed, many independent streams: a generator's seed is a SHA-256 of the run's seed and what it is drawn for.

Streams have no state between epochs: everything random about an epoch's data is drawn at its start from generators named by the
epoch, so a run resumed in the middle of it draws the same again. Only dropout uses torch's global generator; checkpoints carry it.
"""

import contextlib
import hashlib
from collections.abc import Iterator

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, such as (0, "train", "order", 3); equal on every machine and version."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose. Draws are made on the CPU so that they do not depend on the device."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextlib.contextmanager
def global_seed(seed: int, *purpose: str | int) -> Iterator[None]:
    """torch's global CPU generator seeded for one purpose and put back afterwards: for the initialisation of modules."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, *purpose))
        yield


def global_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The state of torch's global generators, for a checkpoint."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_global_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put back what `global_state` gave. A checkpoint from another kind of device restores what it has."""
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def seed_global(seed: int, *purpose: str | int) -> None:
    """Seed torch's global generators for good, at the start of a stage: dropout draws from them."""
    torch.manual_seed(derive(seed, *purpose))
