"""A stand-in engine for the tests of what happens around it, and data sets cut down to a handful of images."""

import sys
import time
import types
from dataclasses import replace

import pytest

from tests.workflow import made_plans
from workflow import jobs
from workflow.protocol import datasets


class OutOfTime(Exception):
    pass


@pytest.fixture
def engine(monkeypatch):
    """An engine that notes each call, waits `pause` seconds, raises the faults that a test sets, and finds made-up numbers."""
    fake = types.SimpleNamespace(OutOfTime=OutOfTime, calls=[], kernels={}, faults={}, pause=0.0, inside=0, together=0)

    def stage(name, make, kernels):
        def call(run, data, folder, **options):
            assert options.keys() - kernels == {"digest", "log", "deadline"}
            fake.calls.append(run.id)
            fake.kernels[run.id] = {key: options[key] for key in kernels & options.keys()}
            fake.inside += 1
            fake.together = max(fake.together, fake.inside)
            time.sleep(fake.pause)
            fake.inside -= 1
            (folder / f"{name}.pt").touch()
            if fault := fake.faults.get(run.id):
                raise fault
            made_by_the_job = ("schema", "status", "run", "digests", "provenance")
            return {key: value for key, value in make(run).items() if key not in made_by_the_job}

        setattr(fake, name, call)

    stage("search", made_plans.search_of, set())
    stage("train", made_plans.result_of, {"kernel_sizes", "dilations"})
    monkeypatch.setitem(sys.modules, "workflow.engine", fake)
    monkeypatch.setattr(sys.modules["workflow"], "engine", fake, raising=False)
    monkeypatch.setattr(jobs.Job, "_data", lambda self, run: (None, {"train": "ab" * 32, "test": "cd" * 32}))
    return fake


@pytest.fixture
def small(monkeypatch):
    """The data sets' table with small counts; the counts."""
    counts = {"mnist": (20, 10), "cifar10": (50, 20), "stl10": (12, 8), "imagenet32": (200, 30)}
    for name, (train, test) in counts.items():
        monkeypatch.setitem(
            datasets.DATASETS, name, replace(datasets.DATASETS[name], train_images=train, test_images=test)
        )
    return counts
