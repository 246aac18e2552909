"""Named precisions: what is said of a bad choice."""

import platform
from pathlib import Path

import pytest
import torch

from workflow import engine
from workflow.engine import precision


@pytest.mark.parametrize("supported", [True, False])
def test_a_stage_says_that_the_processor_emulates_bfloat16(tiny, tmp_path, monkeypatch, supported):
    monkeypatch.setattr(precision, "computes_bf16", lambda device: supported)
    said: list[str] = []
    run = tiny.run(precision="bf16", search=None)
    result = engine.train(run, tiny.data, tmp_path, kernel_sizes=None, digest="d", log=said.append)
    assert 0 <= result["accuracy"] <= 100
    assert [line for line in said if "emulated" in line] == ([] if supported else [said[0]])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads an x86 processor's flags on Linux")
def test_support_for_bfloat16_is_read_off_the_processor():
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    assert precision.computes_bf16(torch.device("cpu")) == ("avx512f" in flags)
    assert precision.computes_bf16(torch.device("cuda"))
    assert precision.advice("fp32", torch.device("cpu")) is None
