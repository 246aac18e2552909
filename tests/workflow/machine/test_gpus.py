"""Which GPUs a process may see."""

from workflow.machine import gpus


def test_cuda_devices_heeds_the_visible_list(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: one (UUID: a)'\necho 'GPU 1: two (UUID: b)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus.cuda_devices() == 2 and gpus.cuda_names() == ["one", "two"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpus.cuda_devices() == 1 and gpus.cuda_names() == ["two"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b")
    assert gpus.cuda_devices() == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.cuda_devices() == 0
