"""Which GPUs are here: torch's word counts, asked in a process of its own; a pretended torch and a pretended nvidia-smi."""

import sys
import types

import pytest

from workflow.machine import gpus
from workflow.records import provenance
from workflow.support.errors import UserError

TORCH = """
import os, types
__version__ = "2.13.0+cu130"
version = types.SimpleNamespace(cuda={cuda!r})
def init():
    raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).")
names = {names}
shown = os.environ.get("CUDA_VISIBLE_DEVICES")
names = names if shown is None else [names[int(n)] for n in shown.split(",") if n]
cuda = types.SimpleNamespace(device_count=lambda: len(names), get_device_name=lambda n: names[n], init=init)
"""
SMI = """#!/bin/sh
case "$1" in
  -L) echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: a)" ;;
  *driver_version*) echo 470.82.01 ;;
  *compute_mode*) echo "Default, Enabled, 350.00, 1980, 1980, 0x0000000000000004" ;;
esac
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(names of devices that torch finds, smi=..., proc=...) on a machine made up of files."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(gpus, "DRIVER", tmp_path / "proc")

    def make(*names, smi=SMI, proc=False, cuda="13.0", visible=None):
        gpus._usable.cache_clear()
        (tmp_path / "torch.py").write_text(TORCH.format(names=list(names), cuda=cuda))
        (tmp_path / "nvidia-smi").unlink(missing_ok=True)
        if smi:
            (tmp_path / "nvidia-smi").write_text(smi)
            (tmp_path / "nvidia-smi").chmod(0o755)
        if proc:
            (tmp_path / "proc" / "gpus" / "0000").mkdir(parents=True, exist_ok=True)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return gpus

    yield make
    gpus._usable.cache_clear()


def test_torch_says_which_devices_there_are_and_heeds_the_visible_list(machine):
    assert machine("one", "two").cuda_names() == ["one", "two"] and gpus.cuda_devices() == 2
    assert machine("one", "two", visible="1").cuda_names() == ["two"]
    assert machine("one", "two", visible="").cuda_names() == []


def test_a_slim_container_without_nvidia_smi_uses_its_gpu_and_calls_it_by_its_name(machine):
    assert machine("one", smi=None, proc=True).cuda_names() == ["one"]
    assert provenance.provenance(device="cuda", threads=1, started="", data={})["device"] == "one"


def test_a_driver_too_old_for_torch_is_one_sentence_with_both_versions(machine):
    expected = (
        r"driver 470\.82\.01\), but torch 2\.13\.0\+cu130, built for CUDA 13\.0, cannot use it \(The NVIDIA driver on your "
        r"system is too old \(found version 11040\)\.\): install a torch for this driver, or go on without it by device=cpu"
    )
    with pytest.raises(UserError, match=expected):
        machine().cuda_names()
    with pytest.raises(UserError, match="built without CUDA"):
        machine(cuda=None).cuda_devices()


def test_without_a_gpu_torch_is_not_even_asked(machine, monkeypatch):
    machine("one", smi=None)
    monkeypatch.setattr(gpus.subprocess, "run", None)
    assert gpus.cuda_names() == []
    machine("one", smi="#!/bin/sh\nexit 9\n")
    monkeypatch.undo()


def test_torch_is_asked_once(machine, monkeypatch):
    machine("one")
    assert gpus.cuda_devices() == 1
    monkeypatch.setattr(gpus.subprocess, "run", None)
    assert gpus.cuda_names() == ["one"]


TWO = """#!/bin/sh
case "$*" in
  *driver_version*) echo 580.1; echo 580.1 ;;
  *"--query-gpu=name"*"-i 1"|*"--query-gpu=name"*"-i GPU-b") echo "small" ;;
  *"--query-gpu=name"*) echo "large"; echo "small" ;;
  *compute_mode*"-i 1"|*compute_mode*"-i GPU-b") echo "Default, Disabled, 70.00, 300, 600, 0x0" ;;
  *compute_mode*"-i 0") echo "Prohibited, Disabled, 700.00, 900, 1980, 0x0" ;;
  *"-i"*) exit 6 ;;
  *compute_mode*) echo "Prohibited, Disabled, 700.00, 900, 1980, 0x0"; echo "Default, Disabled, 70.00, 300, 600, 0x0" ;;
esac
"""


def test_of_two_cards_the_visible_one_is_recorded(machine):
    machine("large", "small", smi=TWO, visible="1")
    assert provenance.device_name("cuda") == "small" and gpus.state()["power_limit_w"] == "70.00"
    machine("large", "small", smi=TWO, visible="0,1")
    assert provenance.device_name("cuda") == "large" and gpus.state()["compute_mode"] == "Prohibited"


def test_of_two_cards_the_one_that_this_process_computes_on_is_recorded(machine, monkeypatch):
    machine("large", "small", smi=TWO)
    assert provenance.device_name("cuda") == "large"
    cuda = types.SimpleNamespace(
        is_initialized=lambda: True, current_device=lambda: 1, get_device_name=["large", "small"].__getitem__,
        get_device_properties=lambda number: types.SimpleNamespace(uuid="ab"[number]),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    assert provenance.device_name("cuda") == "small" and gpus.state()["power_limit_w"] == "70.00"


PART = """#!/bin/sh
case "$*" in
  *driver_version*) echo 580.1 ;;
  *"-i MIG-a") exit 6 ;;
  *compute_mode*) echo "Default, Enabled, 700.00, 900, 1980, 0x0" ;;
esac
"""


def test_a_part_of_the_only_card_is_set_up_as_that_and_of_two_cards_it_is_not_told(machine):
    machine("part", smi=PART, visible="MIG-a")
    assert gpus.state()["mig"] == "Enabled"
    machine("part", smi=TWO)
    assert gpus.state() is None


def test_a_card_that_torch_cannot_use_has_a_name_all_the_same(machine):
    machine(smi=TWO)
    assert provenance.device_name("cuda") == "large"


def test_how_the_card_is_set_up_goes_into_provenance(machine, tmp_path, monkeypatch):
    machine("one")
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    expected = {
        "compute_mode": "Default", "mig": "Enabled", "power_limit_w": "350.00", "clock_mhz": "1980", "clock_most_mhz": "1980",
        "slowed_by": "0x0000000000000004", "mps": False,
    }  # fmt: skip
    assert gpus.state() == expected
    (tmp_path / "control").touch()
    assert gpus.state()["mps"] is True
    found = provenance.provenance(device="cuda", threads=1, started="", data={})
    assert found["gpu"]["power_limit_w"] == "350.00"
    assert found["arithmetic"] is None or found["arithmetic"]["onednn"]
    machine(smi=None)
    assert gpus.state() is None
