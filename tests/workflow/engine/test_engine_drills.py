"""Failure drills of the engine: power cuts while a checkpoint is written, flipped bits, a full disk. Outcomes: docs/drills.md."""

import os
import random
import subprocess

import pytest
import torch

from workflow import engine
from workflow.engine import checkpoint
from workflow.engine.checkpoint import Checkpoints
from workflow.support.errors import UserError


class PowerCut(BaseException):
    """The machine is off: nothing after this runs, no handler and no clean-up."""


def state(number: int) -> dict:
    return {"number": number, "model": {"weight": torch.full((50, 7), float(number))}}


def saved(folder, *numbers: int, **options) -> Checkpoints:
    one = Checkpoints(folder, "train", "digest", [].append)
    for number in numbers:
        one.save(state(number), **options)
    return one


def loaded(folder) -> dict | None:
    return Checkpoints(folder, "train", "digest", [].append).load(torch.device("cpu"))


def is_whole(found: dict, number: int) -> bool:
    return found["number"] == number and torch.equal(found["model"]["weight"], state(number)["model"]["weight"])


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("cut", range(6))
def test_power_cut_at_every_step_of_a_write(tmp_path, monkeypatch, cut, final):
    """Cut before or within: writing, fsync, the two renames, the removal of the older one."""
    saved(tmp_path, 1, 2)
    renamed = []

    def cut_at(place: int, function):
        def wrapped(*arguments, **options):
            if place == cut:
                if place == 0:
                    arguments[1].write(b"PK half a checkpoint")
                raise PowerCut
            return function(*arguments, **options)

        return wrapped

    def replace(source, target):
        renamed.append(target)
        cut_at(2 + len(renamed), real_replace)(source, target)

    real_replace = os.replace
    monkeypatch.setattr(checkpoint.torch, "save", cut_at(0, torch.save))
    monkeypatch.setattr(checkpoint.os, "fsync", cut_at(1, os.fsync))
    monkeypatch.setattr(checkpoint.os, "chmod", cut_at(2, os.chmod))
    monkeypatch.setattr(checkpoint.os, "replace", replace)
    done = False
    try:
        saved(tmp_path, 3, final=final)
        done = True
    except PowerCut:
        pass
    monkeypatch.undo()
    found = loaded(tmp_path)
    assert is_whole(found, 3 if done else 2)
    assert {path.name for path in tmp_path.iterdir()} <= {"train.pt", "train.previous.pt"}  # no half-written ones stay
    saved(tmp_path, 4)
    assert is_whole(loaded(tmp_path), 4)


def test_a_checkpoint_cut_short_anywhere_gives_way_to_the_one_before(tmp_path):
    saved(tmp_path, 1, 2)
    whole = (tmp_path / "train.pt").read_bytes()
    draw = random.Random(0)
    for length in [0, 1, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(40))]:
        (tmp_path / "train.pt").write_bytes(whole[:length])
        assert is_whole(loaded(tmp_path), 1), length


def test_a_flipped_bit_is_never_trained_on(tmp_path):
    """300 single bits: either the state is the very same (a bit that means nothing), or the older one is taken."""
    saved(tmp_path, 1, 2)
    whole = (tmp_path / "train.pt").read_bytes()
    draw, refused = random.Random(0), 0
    for _ in range(300):
        place = draw.randrange(len(whole))
        hurt = bytearray(whole)
        hurt[place] ^= 1 << draw.randrange(8)
        (tmp_path / "train.pt").write_bytes(hurt)
        found = loaded(tmp_path)
        assert is_whole(found, found["number"]), place
        refused += found["number"] == 1
    assert refused > 100  # most of the file is weights


def test_without_an_older_one_it_starts_afresh_and_says_so(tmp_path):
    one = saved(tmp_path, 1)
    said = []
    (tmp_path / "train.pt").write_bytes(b"\0" * 2000)
    one.log = said.append
    assert one.load(torch.device("cpu")) is None
    assert len(said) == 1 and said[0].startswith("checkpoint train.pt is unreadable")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB; mounting needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here: it takes root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_where_there_is_no_room_for_three_the_older_one_goes_first(small_disk):
    """Each takes 0.4 MB of 1 MB."""
    one = Checkpoints(small_disk, "train", "digest", [].append)
    for number in (1, 2, 3):
        one.save({"number": number, "model": torch.zeros(100_000)})
    assert one.load(torch.device("cpu"))["number"] == 3


def test_what_does_not_fit_is_said_before_it_is_written(small_disk, monkeypatch):
    one = Checkpoints(small_disk, "train", "digest", [].append)
    monkeypatch.setattr(checkpoint.torch, "save", None)
    with pytest.raises(
        UserError, match=r"train.pt cannot be written \(it takes 0.01 GB, and the disk is full\): make room"
    ):
        one.save({"model": [torch.zeros(2_000_000)]})
    assert list(small_disk.iterdir()) == []


def outcome(found: dict) -> dict:
    return {
        key: value for key, value in found.items() if key not in ("seconds_per_epoch", "peak_memory_mb", "sittings")
    }


@pytest.mark.parametrize("free", [0, 4096, 20480, 65536])
def test_a_full_disk_is_one_sentence_and_costs_nothing(tiny, tmp_path, small_disk, free):
    """The disk has so many bytes left: training stops with a sentence; with room made, it goes on to the same result."""
    train = lambda folder: engine.train(
        tiny.run(), tiny.data, folder, kernel_sizes=None, digest="d", log=lambda text: None
    )
    whole = train(tmp_path / "whole")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize - free))
    with pytest.raises((UserError, OSError), match="cannot be written|No space left") as error:
        train(small_disk / "run")
    assert isinstance(error.value, UserError), error.value
    said = str(error.value)
    assert len(said.splitlines()) == 1 and ("make room" in said or "free the folder" in said)
    filler.unlink()
    assert outcome(train(small_disk / "run")) == outcome(whole)
