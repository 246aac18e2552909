"""The time stage: what it averages, what it reports, and that it measures the steps it says it measures."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import baselines
from workflow import engine
from workflow.engine import clock, load
from workflow.engine.clock import Clock, Steps
from workflow.machine import gpus

CPU = torch.device("cpu")
QUICK = {"slices": 3, "slice_seconds": 0.02}


def quiet(text):
    pass


def test_a_searched_row_has_both_stages_and_the_papers_mean(tiny):
    run = tiny.run(train={"recipe": "resnet_sgd", "epochs": 6, "batch_size": 16})
    said = []
    timing = engine.measure(run, tiny.data, kernel_sizes=[3, 5, 2, 3, 1, 7], log=said.append, **QUICK)
    assert [(s["stage"], s["position"], s["weight"]) for s in timing["segments"]] == [
        ("search", "start", 0.5), ("search", "end", 0.5), ("train", "start", 1.0),
    ]  # fmt: skip
    start, end, train = (s["seconds_per_epoch"] for s in timing["segments"])
    assert timing["search_seconds"] == pytest.approx((start + end) / 2)
    assert timing["train_seconds"] == train
    assert timing["seconds_per_epoch"] == pytest.approx((2 * (start + end) / 2 + 6 * train) / 8)  # 2 epochs of search
    for s in timing["segments"]:
        assert 0 < s["low"] <= s["seconds_per_epoch"] <= s["high"]
        assert s["images_per_second"] * s["seconds_per_epoch"] == pytest.approx(56)
        assert (s["slices"], s["steps_per_epoch"]) == (3, 4)
    assert timing["foreign_load"] >= 0 and timing["clocks_agree"] in (True, False)
    assert (timing["device"], timing["precision"], timing["batch_size"], timing["threads"]) == ("cpu", "fp32", 16, 1)
    assert len(said) == 1 and "s per epoch" in said[0]


class Grows(torch.nn.Module):
    """A step takes 10 ms at the start, 20 in the middle, 50 at the end."""

    def __init__(self):
        super().__init__()
        self.linear, self.wait = torch.nn.Linear(192, 10), 0.0

    def pretend_sizes(self, position):
        self.wait = {"start": 0.01, "middle": 0.02, "end": 0.05}[position]

    def forward(self, images):
        time.sleep(self.wait)
        return self.linear(images.flatten(1))


def test_a_growing_network_is_timed_three_times_and_waiting_is_noticed(tiny, monkeypatch):
    monkeypatch.setattr(baselines, "build", lambda *a, **k: Grows())
    timing = engine.measure(
        tiny.run(search=None), tiny.data, kernel_sizes=None, log=quiet, slices=3, slice_seconds=0.04
    )
    seconds = {s["position"]: s["seconds_per_epoch"] for s in timing["segments"]}
    for position, wait in {"start": 0.01, "middle": 0.02, "end": 0.05}.items():
        assert seconds[position] > 3.5 * wait  # 56 images are 3 1/2 full steps
    weighted = seconds["start"] / 4 + seconds["middle"] / 2 + seconds["end"] / 4
    assert timing["train_seconds"] == timing["seconds_per_epoch"] == pytest.approx(weighted)
    assert timing["search_seconds"] is None
    assert timing["clocks_agree"] is False  # asleep: the process's CPU time stands still


def test_steps_go_on_from_epoch_to_epoch_and_count_partial_batches():
    taken = []
    images = SimpleNamespace(steps=3, batch_size=16, shown=40)
    step = SimpleNamespace(images=images, begin=lambda e: taken.append(f"epoch {e}"), take=taken.append)
    steps = Steps(step)
    assert steps.take(2) == 32
    assert steps.take(3) == 8 + 32
    assert taken == ["epoch 1", 0, 1, 2, "epoch 2", 0, 1]


def test_a_very_long_step_is_timed_once(monkeypatch, tiny):
    monkeypatch.setattr(baselines, "build", lambda *a, **k: Grows())
    monkeypatch.setattr(clock, "LONG_STEP", 3)
    timing = engine.measure(
        tiny.run(search=None), tiny.data, kernel_sizes=None, log=quiet, slices=3, slice_seconds=0.01
    )
    assert timing["segments"][-1]["slices"] == 1


class Slow(torch.nn.Linear):
    """Takes 20 ms an image."""

    def pretend_sizes(self, position):
        pass

    def forward(self, images):
        time.sleep(0.02 * len(images))
        return super().forward(images.flatten(1))


@pytest.mark.slow
def test_steps_that_take_too_long_are_timed_with_fewer_images(tiny, monkeypatch):
    monkeypatch.setattr(baselines, "build", lambda *a, **k: Slow(192, 10))
    timing = engine.measure(
        tiny.run(search=None), tiny.data, kernel_sizes=None, log=quiet, slices=3, slice_seconds=0.01
    )
    for s in timing["segments"]:
        assert 1 <= s["batch_size"] <= 10  # 20 slices of 10 ms hold 10 images
        assert s["seconds_per_epoch"] > 56 * 0.02
    assert timing["batch_size"] == 16


class TwoWays(torch.nn.Linear):
    """Trains by its faster convolution; a step takes 30 ms by the published one, 10 by the other."""

    backend, timed_backends = "auto", ("direct", "auto")

    def forward(self, images):
        time.sleep({"direct": 0.03, "auto": 0.01}[self.backend])
        return super().forward(images.flatten(1))


def test_a_network_that_trains_by_the_faster_convolution_is_timed_by_both(tiny, monkeypatch):
    monkeypatch.setattr(baselines, "build", lambda *a, **k: TwoWays(192, 10))
    timing = engine.measure(
        replace(tiny.run(), search=None), tiny.data, kernel_sizes=None, log=quiet, slices=3, slice_seconds=0.04
    )
    assert timing["seconds_per_epoch"] == timing["train_seconds"] > 3.5 * 0.03
    assert 3.5 * 0.01 < timing["faster_seconds"] < 3.5 * 0.03
    assert len(timing["segments"]) == len(timing["faster_segments"]) == 1


def test_the_two_clocks():
    cuda = torch.device("cuda")
    assert Clock(1.0, 0.985).agrees(cuda) and not Clock(1.0, 0.97).agrees(cuda) and not Clock(1.0, 1.03).agrees(cuda)
    assert Clock(1.0, 0.985).agrees(CPU) and Clock(1.0, 1.9).agrees(CPU) and not Clock(1.0, 0.9).agrees(CPU)


@pytest.mark.parametrize("predictor", ["gru", "gru-step", "free"])
def test_a_search_can_be_moved_to_given_sizes(predictor):
    from effconv import KernelSizeSearch, SearchOptions, cifar_resnet

    options = SearchOptions(kernel_predictor="projected", hidden=4, size_predictor=predictor)
    search = KernelSizeSearch(cifar_resnet(8, widths=(4, 8, 16)), input_shape=(3, 8, 8), options=options)
    search.set_sizes([1, 7, 2, 3, 5, 6])
    assert search.sizes == (1, 7, 2, 3, 5, 6)


def test_foreign_load_is_what_others_used(monkeypatch):
    readings = iter([(0.0, 100.0, 5.0), (2.0, 105.0, 7.0), (10.0, 200.0, 8.0), (12.0, 201.0, 9.0)])
    now = {}

    def advance():
        now["wall"], now["busy"], now["own"] = next(readings)
        return now["wall"]

    monkeypatch.setattr(load.time, "perf_counter", advance)
    monkeypatch.setattr(load, "_busy_seconds", lambda: now["busy"])
    monkeypatch.setattr(load.time, "process_time", lambda: now["own"])
    meter = load.ForeignLoad()
    for _ in range(2):
        meter.start()
        # `stop` reads the machine's counter before the clock; the readings come in that order
        monkeypatch.setattr(load, "_busy_seconds", lambda: (advance(), now["busy"])[1])
        monkeypatch.setattr(load.time, "perf_counter", lambda: now["wall"])
        meter.stop()
        monkeypatch.setattr(load, "_busy_seconds", lambda: now["busy"])
        monkeypatch.setattr(load.time, "perf_counter", advance)
    # of 5 + 1 busy seconds 2 + 1 were our own; 2 + 2 seconds went by
    assert meter.cores == pytest.approx(3 / 4)
    assert load.ForeignLoad().cores == 0


def test_foreign_load_without_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "STAT", tmp_path / "none")
    meter = load.ForeignLoad()
    meter.start()
    meter.stop()
    assert meter.cores == 0


def test_other_processes_on_the_gpu(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 1\necho 2\necho $PPID\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert gpus.foreign_processes() == 2
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert gpus.foreign_processes() is None
    tool.unlink()
    assert gpus.foreign_processes() is None
