"""Every sound seed, and every input that fuzzing found something with, read again (readers.py says how they were found)."""

import resource
from pathlib import Path

import pytest

from tests.fuzz import readers

FOUND = sorted(path for path in (Path(__file__).parent / "found").iterdir() if path.is_file())


@pytest.fixture
def four_gigabytes():
    """No more address space than this process has and 4 GB, so that a file that asks for more fails as on a small machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (4 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_fuzzing_found(path, four_gigabytes):
    readers.one_input(path.read_bytes())


@pytest.mark.parametrize("number", range(len(readers.seeds())))
def test_sound_files_are_read(number, tmp_path):
    data = readers.seeds()[number]
    readers.READERS[data[0]](data[1:], tmp_path)


@pytest.mark.parametrize("number", range(len(readers.READERS)))
def test_every_cut_and_flip_of_a_sound_file(number, four_gigabytes):
    """Cut at forty lengths and with a byte changed at forty places: images and labels, or one sentence."""
    for seed in (seed for seed in readers.seeds() if seed[0] == number):
        step = max(1, len(seed) // 40)
        for place in range(1, len(seed), step):
            readers.one_input(seed[:place])
            readers.one_input(seed[:place] + bytes([seed[place] ^ 0x55]) + seed[place + 1 :])
