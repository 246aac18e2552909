"""What the rules make of a configuration, by a dry run."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_a_folder_of_ones_own_is_quoted_and_a_clusters_node_is_asked_for_whole(tmp_path, root):
    """Data in the home, in a folder whose name means something to a shell and to a regular expression."""
    home = tmp_path / "a+b (c)"
    home.mkdir()
    manifest = f"{home}/sets/prepared/synthetic-mnist-32-20/manifest.json"
    settings = ["preset=smoke", "device=cpu", "cluster=true", 'only=["mnist/cifar-resnet-20"]', "data=~/sets"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "-p", "-s", str(root / "Snakefile"), "-d", str(tmp_path), "times",
         "claim-mnist-time", manifest, "--config", *settings],
        env={**os.environ, "HOME": str(home)}, capture_output=True, text=True,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert f"python -m workflow prepare '{home}/sets/prepared/synthetic-mnist-32-20' --plan" in said
    assert said.count("slurm_extra=--exclusive") == 2
