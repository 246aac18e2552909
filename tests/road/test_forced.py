"""Through Snakemake: what is done is kept, for whatever reason its job is started again; what the user forces is done again."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROW = "mnist/effconv-20-0.66m"
SETTINGS = {
    "preset": "smoke", "device": "cpu", "only": [ROW], "seeds": [0], "data": "data", "epochs": {"search": 1, "train": 1},
    "synthetic": {"mnist": {"train": 64, "test": 16}}, "jobs": {"rows": "one"},
}  # fmt: skip


@pytest.fixture
def trained(root, tmp_path):
    """trained(options) -> the result of the row's training, as Snakemake leaves it, and what the job said."""
    (tmp_path / "settings.yaml").write_text(json.dumps(SETTINGS))
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))},
        "EFFCONV_AGAIN": "train",  # left over in a shell: what this Snakemake was told counts
    }

    def run(*options: str) -> tuple[bytes, str]:
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", f"results/smoke/jobs/train/{ROW}/all.json", "-s", str(root / "Snakefile"),
             "-d", str(tmp_path), "--cores", "1", "--configfile", str(tmp_path / "settings.yaml"), *options],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        log = (tmp_path / f"results/smoke/logs/train/{ROW}/all.log").read_text()
        return (tmp_path / f"results/smoke/runs/{ROW}/seed0/result.json").read_bytes(), log

    return run


def test_data_that_are_prepared_again_train_nothing_and_what_is_forced_is_trained(trained, tmp_path):
    first, _ = trained()
    (manifest,) = (tmp_path / "data" / "prepared").glob("*/manifest.json")
    manifest.write_text(manifest.read_text() + "\n")  # its time of making would be another
    kept, said = trained()
    assert kept == first and "kept: an earlier process finished it." in said
    search = tmp_path / f"results/smoke/runs/{ROW}/seed0/search.json"
    learned = search.read_bytes()
    again, said = trained("-R", "train")
    assert again != first and "kept" not in said  # other seconds
    assert search.read_bytes() == learned and trained()[0] == again
