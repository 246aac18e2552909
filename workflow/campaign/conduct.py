"""`python -m workflow campaign`: everything that a borrowed machine can do in so many minutes, in the order of its value.

With no more than torch, NumPy and a YAML reader. The same command goes on in its folder, OUT, after a kill too:

1. the self-check, where this machine is not known and there are 20 minutes or more (OUT/selfcheck.json); it has three tenths of them;
2. `times`: seconds per epoch at real shapes, no data set needed, alone on the machine (OUT/times). Timing has a quarter of the
   minutes, and a part of that is kept back for rows whose sizes are learned meanwhile;
3. preset `short` and then `paper`, or the one that is asked for (OUT/short, OUT/paper, laid out like results/<preset>, with the data
   sets' manifests beside): searches and training side by side (campaign.py).
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from workflow.campaign.campaign import ENDING, Campaign
from workflow.check.check import checked
from workflow.machine import gpu_pool
from workflow.machine.gpus import cuda_names
from workflow.overview.estimates import network
from workflow.plan.config import load
from workflow.plan.make import make_plan
from workflow.plan.plan import Plan
from workflow.plan.steps import Step
from workflow.records.provenance import device_name
from workflow.support.durations import rounded
from workflow.support.errors import UserError
from workflow.support.files import write_json
from workflow.support.processes import die_with_parent, environment

WORTH_CHECKING = 20  # minutes of a campaign from which it pays to check a machine that is not known
CHECK_SHARE = 0.3  # of the minutes, at most
TIMING_SHARE = 0.25  # of the minutes, at most
KEPT_BACK = 0.25  # of that, for rows whose sizes are learned in the campaign
GAIN = 2.0  # what jobs side by side on a card do in the time of one alone, about; not measured yet
GRACE = 60.0  # seconds that a command may take longer than it was given


@contextlib.contextmanager
def only_here(folder: Path) -> Iterator[int]:
    """Hold the folder against a second campaign; the descriptor is passed on, so that orphans of a killed one hold it too."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".campaign.lock", "w")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): choose another --out.") from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another campaign works in {folder}: wait for its end, or choose another --out.") from None
        yield file.fileno()


def prepare_data(plan: Plan, folder: Path, wanted: set[str]) -> Plan:
    """Prepare those of the plan's data sets that are wanted and lay their manifests into the folder.

    Returns the plan, with the others and those that could not be had among its `unavailable`.
    """
    from workflow.data import prepare

    later = {entry["dataset"]: "the time is not enough for them." for entry in plan.prepare.values()}
    absent = {**{dataset: why for dataset, why in later.items() if dataset not in wanted}, **plan.unavailable}
    for out, entry in plan.prepare.items():
        dataset, made_up = entry["dataset"], entry["synthetic"]
        if dataset in absent:
            continue
        source = "synthetic" if made_up else "auto"
        try:
            manifest = prepare(dataset, source=source, folder=Path(plan.data), out=Path(out), synthetic=made_up)
        except UserError as error:
            absent[dataset] = str(error)
        else:
            write_json(folder / "data" / Path(out).name / "manifest.json", manifest)
    for dataset, why in absent.items():
        print(f"The rows of {dataset} have to wait: {why}", flush=True)
    return replace(plan, unavailable=absent)


def share_of(config: dict, plan: Plan, *, threads: int, jobs: int | None = None) -> Callable[[Step], float]:
    """Step -> the share of the machine that it takes. `jobs`: so many side by side; None: as many as cores or cards allow."""
    if jobs is not None:
        return lambda step: 1 / jobs
    if config["device"] != "cuda":
        return lambda step: 1 / max(1, (os.cpu_count() or 1) // threads)
    cards, known = cuda_names(), gpu_pool.known()

    def share(step: Step) -> float:
        run = plan.by_id[step.member]
        kind = gpu_pool.kind_of(run, step.stage, grows=network(run).grows)
        return 1 / (len(cards) * (config.get("per_gpu") or gpu_pool.side_by_side(cards, kind, known)))

    return share


def _command(words: list[str], log: Path, lock: int, seconds: float) -> None:
    """Another command of the suite, alone on the machine; what it prints goes to the screen and into a file.

    It is killed after `seconds`, so that one that hangs does not take the whole campaign.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "workflow", *words], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, pass_fds=[lock], preexec_fn=die_with_parent,
    ) as process, open(log, "a") as file:  # fmt: skip
        end = threading.Timer(seconds, process.kill)
        end.daemon = True
        end.start()
        for line in process.stdout or ():
            print(line, end="", flush=True)
            file.write(line)
        end.cancel()
        if process.wait() == -signal.SIGKILL:
            print(f"{words[0]} did not end in {rounded(seconds)} and was stopped.", flush=True)


def presets_of(user: dict, config: dict) -> list[str]:
    """The presets of a campaign: the one that is asked for, else on a GPU the short protocol and then the paper's."""
    asked = user.get("preset", "auto") != "auto" or config["device"] != "cuda"
    return [config["preset"]] if asked else ["short", "paper"]


def conduct(user: dict, out: Path, *, minutes: float, words: list[str], jobs: int | None = None) -> None:
    """A whole campaign. `user`: the configuration; `words`: what says the same on a command line; `jobs`: as of `share_of`."""
    end, config = time.monotonic() + 60 * minutes, load(user)
    presets, on_gpu = presets_of(user, config), config["device"] == "cuda"
    threads = config.get("threads", 2 if on_gpu else 1)
    gain = GAIN * len(cuda_names()) if on_gpu else (os.cpu_count() or 1) / threads
    with only_here(out) as lock:
        if minutes >= WORTH_CHECKING and not checked(config["device"]):
            command = ["check", *words, "--preset", presets[0]]
            _command(command, out / "logs" / "check.log", lock, 60 * CHECK_SHARE * minutes)
        for card in cuda_names() if on_gpu else [str(device_name("cpu"))]:
            if found := gpu_pool.known().get(card):
                gpu_pool.keep(card, found, out / gpu_pool.HERE.name)
        timing = 0.0 if presets == ["smoke"] else 60 * TIMING_SHARE * minutes

        def times(seconds: float) -> None:
            limits = ["--out", str(out / "times"), "--minutes", f"{seconds / 60:.3f}"]
            limit = min(seconds + GRACE, max(0.0, end - time.monotonic()))
            _command(["times", *words, *limits], out / "logs" / "times.log", lock, limit)

        if timing:
            times(timing * (1 - KEPT_BACK))
        last = end - timing * KEPT_BACK
        for preset in presets:
            if last - time.monotonic() <= ENDING:
                break
            own = load({**user, "preset": preset})
            plan = make_plan({**own, "jobs": {"seeds": "one", "timing": "row"}})
            share = share_of(own, plan, threads=threads, jobs=jobs)
            one = Campaign(plan, out / preset, end=last, share=share, threads=threads, lock=lock)
            one.plan = prepare_data(plan, out / preset, one.datasets(gain))
            one.run()
        if timing:
            times(min(timing * KEPT_BACK, end - time.monotonic()))
