"""The whole road: the smoke preset from an empty folder to the report, as `snakemake --cores 2 --use-conda` with a stand-in conda.

One run of the pipeline serves every test of this module; each looks at what it left, or runs it again after a small change.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.plan.test_stale import NO_ROW
from workflow.plan.plan import read_plan

pytestmark = pytest.mark.road
HERE = Path(__file__).parent


def copy_of(root: Path, target: Path) -> Path:
    """The files a fresh clone would hold, work in progress included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    return target


class Road:
    """A clone with a stand-in conda beside it."""

    def __init__(self, root: Path, base: Path):
        self.folder = copy_of(root, base / "clone")
        self.conda = base / "conda"
        (self.conda / "bin").mkdir(parents=True)
        shutil.copy2(HERE / "conda", self.conda / "bin" / "conda")
        (self.conda / "bin" / "activate").write_text('export CONDA_PREFIX=$1 PATH="$1/bin:$PATH"\n')
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV", "OMP_"))},
            # Without the folder of the Python that runs the tests: a job has to find its own.
            "PATH": f"{self.conda / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "STAND_IN_PYTHON": sys.executable,
        }

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )

    def workflow(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "workflow", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def due(self, *arguments: str) -> dict[str, int]:
        """Jobs by rule that a dry run plans."""
        done = self.snakemake("-n", *arguments, "--config", "preset=smoke")
        assert done.returncode == 0, done.stdout + done.stderr
        table = (done.stdout + done.stderr).split("Job stats:")
        return (
            {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table[1].split("\n\n")[0], re.M)}
            if table[1:]
            else {}
        )

    @contextlib.contextmanager
    def edited(self, *edits: tuple[str, str | None, str]) -> Iterator[None]:
        """(file, old text or None to append, new text) for as long as the context lasts."""
        texts = {}
        try:
            for name, old, new in edits:
                path = self.folder / name
                text = path.read_text() if path.exists() else ""
                texts.setdefault(path, text)
                path.parent.mkdir(parents=True, exist_ok=True)
                assert old is None or old in text, f"{name} has no {old!r}"
                path.write_text(text + new if old is None else text.replace(old, new, 1))
            yield
        finally:
            for path, text in texts.items():
                path.write_text(text) if text else path.unlink()


@pytest.fixture(scope="module")
def road(root, tmp_path_factory):
    road = Road(root, tmp_path_factory.mktemp("road"))
    done = road.snakemake("--cores", "2", "--use-conda", "--config", "preset=smoke")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    road.output = done.stdout + done.stderr
    return road


def records(road, pattern):
    return [json.loads(path.read_text()) for path in sorted((road.folder / "results" / "smoke").glob(pattern))]


def test_every_planned_run_has_a_result(road):
    plan = read_plan(road.folder / "results/smoke/plan.json")
    results = {record["run"]["id"] for record in records(road, "runs/**/result.json")}
    assert results == {run.id for run in plan.runs if run.place in plan.report_rows} and len(results) > 60
    timed = {f"{record['dataset']}/{record['row']}" for record in records(road, "timings/*/*.json")}
    assert timed == plan.report_rows


def test_the_report_and_the_preset_are_announced(road):
    assert "Preset smoke" in road.output and "The report is reports/index.html" in road.output
    page = (road.folder / "reports/index.html").read_text()
    planned = len(json.loads((road.folder / "results/smoke/plan.json").read_text())["runs"])
    assert "networks ran" in page and "CIFARResNet-44" in page and planned > 100
    for name in ("table1", "table2", "table3", "table4"):
        for suffix in ("csv", "md", "tex"):
            assert (road.folder / f"reports/tables/{name}.{suffix}").stat().st_size > 100
    for name in ("figure2", "figure3a", "figure3b", "figure3c"):
        assert (road.folder / f"reports/figures/{name}.csv").exists()  # made-up images give it no line
        for suffix in ("svg", "png"):
            assert (road.folder / f"reports/figures/{name}.{suffix}").stat().st_size > 100


def test_every_job_ran_in_the_activated_environment(road):
    calls = (road.conda / "jobs.txt").read_text().splitlines()
    prefixes = {line.split()[0] for line in calls}
    assert len(prefixes) == 1 and "/.snakemake/conda/" in prefixes.pop()
    assert sum(" -m workflow train " in line for line in calls) == len(records(road, "jobs/train/**/*.json"))
    created = next(road.folder.glob(".snakemake/conda/*/environment.yml"))
    assert created.read_text() == (road.folder / "environment.yml").read_text()


def test_no_job_needed_two_gigabytes(road):
    peaks = [record["peak_memory_mb"] for record in records(road, "runs/**/result.json")]
    assert 100 < max(peaks) < 2000


def test_the_summary_counts_networks_as_the_literature_does(road):
    with open(road.folder / "results/smoke/runs.csv") as file:  # made-up images give summary.csv no number
        lines = list(csv.DictReader(file))
    rows = {(line["dataset"], line["row"]): line for line in lines}
    # He et al. (2016): ResNet-20, -32, -44 with parameter-free shortcuts and ten classes; one input channel is 288 weights fewer.
    assert float(rows["cifar10", "cifar-resnet-20"]["parameters"]) == 269_722
    assert float(rows["cifar10", "cifar-resnet-44"]["parameters"]) == 658_586
    assert float(rows["mnist", "cifar-resnet-20"]["parameters"]) == 269_722 - 2 * 9 * 16
    assert float(rows["imagenet32", "cifar-resnet-32"]["parameters"]) == 528_504
    assert len(lines) == len(rows) + 2 * 2 and {line["status"] for line in lines} == {"done"}


def test_a_dry_run_finds_nothing_to_do_and_imports_nothing_heavy(road):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "snakemake", "-n", "--config", "preset=smoke"],
        cwd=road.folder,
        env=road.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr
    assert not re.search(r"\| +(torch|timm|matplotlib|scipy)\n", done.stderr)


def test_what_changes_no_number_retrains_nothing(road):
    """All that tests/workflow/plan/test_stale.py has, and the environment: tables and page are made again, and no run is."""
    environment = ("environment.yml", "name: effconv", "name: effconv  # ours")
    with road.edited(environment, *(edit for _, *edit in NO_ROW)):
        due = road.due()
    assert "page" in due and not {"prepare", "search", "train", "time"} & set(due), due


def test_seconds_that_times_has_added_renew_the_page_alone(road):
    with road.edited(("results/times/timings/cifar10/flexnet-16.json", None, "{}")):
        due = road.due()
    assert {"page", "aggregate"} <= set(due) and not {"prepare", "search", "train", "time"} & set(due), due


def test_a_record_that_is_filed_renews_the_page_alone(road):
    with road.edited(("results/recorded/another/timings/cifar10/flexnet-16.json", None, "{}")):
        due = road.due()
    assert {"page", "aggregate"} <= set(due) and not {"prepare", "search", "train", "time"} & set(due), due


def test_why_a_row_was_not_timed_is_no_input(road):
    """It goes with the next success, and a report that waits for it would never be made."""
    with road.edited(("results/times/timings/cifar10/flexnet-16.failure.json", None, "{}")):
        assert road.due() == {}


def test_a_changed_recipe_retrains_its_rows(road):
    plan = read_plan(road.folder / "results/smoke/plan.json")
    with road.edited(("config/recipes.yaml", "batch_size: 128, gamma: 0.1}", "batch_size: 128, gamma: 0.2}")):
        due = road.due("table4")
    of_recipe = {run.id for run in plan.runs if run.dataset == "imagenet32" and run.train.recipe.name == "resnet_sgd"}
    jobs = [
        job for job, members in plan.jobs["train"].items() if job.startswith("table4/") and of_recipe & set(members)
    ]
    assert due["train"] == len(jobs) > 0 and not {"prepare", "search"} & set(due), due


def test_changed_training_code_retrains_and_says_which_module(road):
    with road.edited(("workflow/engine/train.py", "\nimport", "\n_ANOTHER_NAME = 1\nimport")):
        dry = road.snakemake("-n", "--config", "preset=smoke")
    text = dry.stdout + dry.stderr
    assert "workflow.engine.train" in text and "Params have changed" in text


def test_a_single_table_can_be_rerun_and_shares_runs(road):
    due = road.due("table2", "-R", "train")
    assert due["train"] == 1 and "search" not in due and "time" not in due
    assert road.due("figure3b", "-R", "train")["train"] == 2  # its own rows, and those that it shares with the table


def test_status_lists_every_run_as_done(road):
    done = road.workflow("status", "--preset", "smoke")
    assert re.search(r"(\d+) runs of preset smoke: \1 done$", done.stdout.strip()), done.stdout[-500:]


def test_data_that_are_prepared_again_train_nothing_and_what_is_forced_is_trained(road):
    results = road.folder / "results/smoke"

    def done(*options: str) -> tuple[list[bytes], list[bytes], int]:
        """Results and searches of ImageNet-32 after Snakemake has made its training's stamp, and how many the job found done."""
        left_over = {"EFFCONV_AGAIN": "train"}  # in the shell: what this Snakemake was told counts
        stamp = "results/smoke/jobs/train/table4/all.json"
        run = road.snakemake("--cores", "2", stamp, *options, "--config", "preset=smoke", **left_over)
        assert run.returncode == 0, run.stdout + run.stderr
        found = (sorted((results / "runs/imagenet32").rglob(name)) for name in ("result.json", "search.json"))
        log = (results / "logs/train/table4/all.log").read_text()
        return *([path.read_bytes() for path in paths] for paths in found), log.count("kept: an earlier process")

    trained, searched, _ = done()
    for manifest in road.folder.glob("data/prepared/synthetic-imagenet32-*/manifest.json"):
        manifest.write_text(manifest.read_text() + "\n")  # its time of making would be another
    assert done() == (trained, searched, len(trained))
    again, learned, kept = done("-R", "train")
    assert kept == 0 and learned == searched and not set(again) & set(trained)  # other seconds
    assert done()[0] == again


def test_a_failed_run_stops_no_other_and_is_shown(road):
    """A budget that no size can reach: its run fails with a sentence, the rest of the table is made, the exit status says so."""
    impossible = "      - {row: impossible, label: Impossible, system: cifar_resnet20, learn: {parameters: 1000}}\n"
    with road.edited(("config/tables.yaml", "\nfigures:", f"{impossible}\nfigures:")):
        done = road.snakemake("--cores", "2", "--config", "preset=smoke")
        assert done.returncode != 0
        failure = json.loads((road.folder / "results/smoke/runs/imagenet32/impossible/seed0/failure.json").read_text())
        assert "1000" in failure["reason"].replace(",", "") and "\n" not in failure["reason"]
        page, runs = ((road.folder / "reports/partial" / name).read_text() for name in ("index.html", "runs.html"))
        assert "1 failed, with their reasons" in page
        assert "Impossible" in runs and "No kernel sizes give the whole network 1,000 parameters" in runs
        assert "failed" in road.workflow("status", "--preset", "smoke").stdout
        log = (road.folder / "results/smoke/logs/train/table4/all.log").read_text()
        assert log.count("kept: an earlier process finished it.") == 5  # the rows that it has joined
        assert road.due()["train"] == 1  # tried again the next time
