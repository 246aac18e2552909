"""What Snakemake is told of GPUs, by dry runs with a pretended nvidia-smi and torch: the pool, the user's own, narrowed devices."""

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

TORCH = """
import os, types
__version__, version = "2.13.0", types.SimpleNamespace(cuda="13.0")
shown = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1,2,3").split(",")
cuda = types.SimpleNamespace(device_count=lambda: len(shown), get_device_name=lambda n: "Pretended")
"""


@pytest.fixture
def gpus_of(tmp_path, root):
    """`gpu` of the train and the time jobs that a dry run plans on a machine with four GPUs; what it says where it fails."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 580.1\n")
    tool.chmod(0o755)
    (tmp_path / "torch.py").write_text(TORCH)

    def plan(*arguments: str, config: tuple[str, ...] = (), **variables: str) -> dict[str, set[str]] | str:
        paths = {"PATH": f"{tool.parent}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}
        environment = {**os.environ, **paths, **variables}
        settings = ["preset=smoke", "device=cuda", 'only=["mnist/cifar-resnet-20"]', f"data={tmp_path}", *config]
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "-n", "-s", str(root / "Snakefile"), "-d", str(tmp_path), *arguments,
             "--config", *settings],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        plan.text = text = done.stdout + done.stderr
        if done.returncode:
            return text
        rules = [block for block in re.split(r"\n(?=rule )", text) if block.startswith("rule ")]
        found = {}
        for block in rules:
            if gpu := re.search(r"resources: .*\bgpu=(\d+)", block):
                found.setdefault(block.split()[1].rstrip(":"), set()).add(gpu[1])
        return found

    return plan


def test_timing_takes_the_whole_pool_of_visible_devices_and_training_one_share(gpus_of):
    """Two of four devices, three jobs on each. How the pool is counted otherwise: test_gpu_pool.py."""
    found = gpus_of(config=("per_gpu=3",), CUDA_VISIBLE_DEVICES="1,3")
    assert found == {"train": {"1"}, "time": {"6"}}
    assert "so_far_table1.log" in gpus_of.text  # the page is made anew when a table's rows are trained


def test_the_users_number_of_gpus_wins(gpus_of):
    assert gpus_of("--resources", "gpu=2") == {"train": {"1"}, "time": {"2"}}


def test_a_damaged_measurement_is_one_sentence(gpus_of, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "selfcheck.json").write_text("{")
    said = gpus_of()
    assert (
        "results/selfcheck.json is damaged" in said and "python -m workflow check" in said and "Traceback" not in said
    )
