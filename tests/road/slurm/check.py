"""What `run` looks at: a clone, the pipeline through Slurm, and what it must have left. Prints figures; ends with 1 on a fault.

python check.py REPOSITORY BASE, with the daemons running.
"""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROWS = ["mnist/cifar-resnet-20", "cifar10/impossible"]
IMPOSSIBLE = "      - {row: impossible, label: Impossible, system: cifar_resnet20, learn: {parameters: 1000}}\n"
SETTINGS = f"only: {json.dumps(ROWS)}\nseeds: [0]\nepochs: {{search: 2, train: 16}}\ntime_limit: 0.2\n"
FAULTS = []


def check(what: str, holds: bool, detail: object = "") -> None:
    """Print one line; remember a fault."""
    print(f"{'ok   ' if holds else 'FAULT'} {what} {detail}".rstrip(), flush=True)
    if not holds:
        FAULTS.append(what)


def clone(root: Path, target: Path) -> Path:
    """The tracked files, with a row that cannot succeed."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    tables = target / "config" / "tables.yaml"
    tables.write_text(tables.read_text().replace("  table3:", IMPOSSIBLE + "  table3:", 1))
    (target / "settings.yaml").write_text(SETTINGS)
    return target


def snakemake(folder: Path, *arguments: str) -> tuple[int, str, float]:
    """Exit status, output and seconds of the pipeline through Slurm."""
    command = [
        sys.executable, "-m", "snakemake", "claims", *arguments, "--workflow-profile", "profiles/slurm", "--slurm-no-account",
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "4", "--slurm-keep-successful-logs",
        "--default-resources", "mem_mb=1500", "runtime=10", "tasks=1", "--set-resources",
        "train:gpu=1", "search:gpu=1", "time:slurm_extra='--exclusive'",
        "--retries", "3", "--latency-wait", "20", "--configfile", "settings.yaml", "--config",
        "preset=smoke", "device=cpu", "cluster=true",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


def records(folder: Path, pattern: str) -> list[dict]:
    """JSON files of the results."""
    return [json.loads(path.read_text()) for path in sorted((folder / "results/smoke").glob(pattern))]


def completed(base: Path) -> list[dict]:
    """Slurm's own list of jobs that ended."""
    lines = (base / "completed").read_text().splitlines()
    return [dict(part.split("=", 1) for part in line.split() if "=" in part) for line in lines]


def main(root: Path, base: Path) -> int:
    """Run and look."""
    folder = clone(root, base / "clone")
    status, text, seconds = snakemake(folder)
    (base / "snakemake.log").write_text(text)
    jobs = completed(base)
    states = collections.Counter(job["JobState"] for job in jobs)
    print(f"{len(jobs)} Slurm jobs in {seconds:.0f} s: {dict(states)}")
    check("a run that failed makes the pipeline fail", status == 1, f"(status {status})")
    results = records(folder, "runs/**/result.json")
    check("the rows that can succeed have results", len(results) == 1, f"({len(results)} results)")
    sittings = [record["provenance"].get("sittings", record.get("sittings")) for record in results]
    check(
        "jobs that time stopped were sent in again and went on", max(sittings, default=0) > 1, f"(sittings {sittings})"
    )
    failures = records(folder, "runs/**/failure.json")
    reasons = {failure["reason"] for failure in failures}
    check("failures say why", len(failures) == 1 and all("1,000 parameters" in reason for reason in reasons))
    logs = [path.read_text() for path in (folder / "results/smoke/logs/train/cifar10/impossible").rglob("*.log")]
    check("a failed run is not tried again", any("failed in an earlier attempt" in log for log in logs))
    gpu = gpu_spans()
    check(
        "jobs that asked for the GPU had it one at a time", len(gpu) > 2 and overlaps(gpu) == 0, f"({len(gpu)} listed)"
    )
    timings = [record for record in records(folder, "timings/*/*.json") if "segments" in record]
    check("rows were timed", len(timings) == 1, f"({len(timings)})")
    (folder / "settings.yaml").write_text(SETTINGS.replace(', "cifar10/impossible"', ""))
    status, text, seconds = snakemake(folder)
    (base / "snakemake.2.log").write_text(text)
    check("without that row it ends with the claims", status == 0 and (folder / "reports/claims.csv").exists())
    before = len(completed(base))
    status, text, seconds = snakemake(folder)
    due = re.search(r"Nothing to be done", text) is not None
    check("a third start finds nothing to do", status == 0 and due and len(completed(base)) == before)
    print(f"{len(FAULTS)} faults")
    return bool(FAULTS)


def gpu_spans() -> list[tuple[str, str]]:
    """(start, end) of the jobs that asked for a GPU, as Slurm remembers them."""
    columns = "tres-per-job:40,StartTime:25,EndTime:25"
    listed = subprocess.run(
        ["squeue", "-a", "-h", "-t", "all", "-O", columns], capture_output=True, text=True, check=True
    )
    lines = (line.split() for line in listed.stdout.splitlines())
    return sorted((line[1], line[2]) for line in lines if "gpu" in line[0])


def overlaps(spans: list[tuple[str, str]]) -> int:
    """Consecutive (start, end) pairs, ISO times, of which the later starts before the earlier ends."""
    return sum(later[0] < earlier[1] for earlier, later in zip(spans, spans[1:], strict=False))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
