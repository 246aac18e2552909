"""Which GPUs are here: torch's word counts, asked in a process of its own; a pretended torch and a pretended nvidia-smi."""

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
    provenance._graphics.cache_clear()
    assert provenance.provenance(device="cuda", threads=1, started="", data={})["device"] == "one"
    provenance._graphics.cache_clear()


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
