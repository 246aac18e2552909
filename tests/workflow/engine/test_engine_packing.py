"""Training processes side by side on one device: real ones on the CPU, failing ones, and what a measurement leaves."""

import contextlib
import json

import pytest
import torch

from workflow.campaign import measure_packing
from workflow.support.errors import UserError

CONFIG = {"device": "cuda", "precision": "fp32"}


def test_two_real_processes_train_side_by_side():
    both = measure_packing.total(2, device="cpu", precision="fp32", seconds=0.5)
    assert both > 2 * 128 / 60  # each has done a step; a batch takes no minute anywhere


def test_a_process_that_fails_ends_the_others_and_says_why():
    with pytest.raises(UserError, match=r"2 jobs side by side failed on cuda:99 \(.+\): measure fewer"):
        measure_packing.total(2, device="cuda:99", precision="fp32", seconds=0.1)


def numbers(found, fails_from=99):
    """In place of `total`: images per second by the number of jobs."""

    def total(count, **options):
        if count >= fails_from:
            raise UserError(f"{count} jobs side by side failed on cuda:0 (out of memory): measure fewer.")
        return found[count]

    return total


def test_a_series_ends_at_the_first_number_that_fails(monkeypatch):
    said = []
    monkeypatch.setattr(measure_packing, "total", numbers({1: 1000.0, 2: 1500.0}, fails_from=3))
    found = measure_packing.speeds([3, 2, 1, 4], device="cuda:0", precision="fp32", seconds=1, log=said.append)
    assert found == {1: 1000.0, 2: 1500.0}
    # 1,500 images a second are 5.4 million an hour, of 164 epochs of 50,000 a row.
    assert "1,500 images/s" in said[1] and "0.66 CIFAR-10 rows an hour" in said[1] and "out of memory" in said[2]
    monkeypatch.setattr(measure_packing, "total", numbers({}, fails_from=1))
    with pytest.raises(UserError, match="1 jobs side by side failed"):
        measure_packing.speeds([1, 2], device="cuda:0", precision="fp32", seconds=1)


def test_the_best_number_is_kept_for_the_card(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure_packing, "total", numbers({1: 1000.0, 3: 2500.0, 6: 2510.0}))
    monkeypatch.setattr(measure_packing, "lease", lambda device, exclusive: contextlib.nullcontext("cuda:0"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "pretended")
    said = []
    assert measure_packing.measure(CONFIG, [1, 3, 6], 1.0, log=said.append) == 3
    kept = json.loads((tmp_path / "results" / "packing.json").read_text())["pretended"]
    assert (kept["side_by_side"], kept["gain"]) == (3, 2.5)
    assert kept["images_per_second"] == {"1": 1000.0, "3": 2500.0, "6": 2510.0}
    assert kept["precision"] == "fp32" and kept["provenance"]["torch"] == torch.__version__.split("+")[0]
    assert said[-1].startswith("3 side by side, 2.50 times as many images as one")


def test_without_a_gpu_or_with_no_number_nothing_is_measured(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="packing measures a GPU"):
        measure_packing.measure({**CONFIG, "device": "cpu"}, [1], 1.0)
    for counts in ([], [2, 0], [17]):
        with pytest.raises(UserError, match="numbers of jobs from 1 to 16"):
            measure_packing.measure(CONFIG, counts, 1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_real_gpu(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert measure_packing.measure(CONFIG, [1, 2], 1.0) in (1, 2)
    (kept,) = json.loads((tmp_path / "results" / "packing.json").read_text()).values()
    assert min(kept["images_per_second"].values()) > 1000
