"""`python -m workflow check`: is this machine ready for measurements? Minutes on any card, and on a CPU.

In this order: what stands in the way before anything is downloaded; whether replayed steps are the steps, by kind of training; how
much memory a job takes and how many of a kind make the most of the card; what the engine's choices gain. What is found is kept in
results/selfcheck.json under the card's name, with driver, torch and a digest of the code; the number of jobs that share a card and the
rates that estimates go by are read there. On a CPU the same is done, in place of packing with one convolution in each arithmetic.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workflow.machine import gpu_pool
from workflow.overview.estimates import Estimates
from workflow.plan.digests import COMPUTING
from workflow.plan.plan import Plan
from workflow.plan.steps import steps
from workflow.records.provenance import now, provenance
from workflow.support.code_digests import code_digests, text_digest
from workflow.support.durations import rounded
from workflow.support.errors import UserError
from workflow.support.processes import environment

COUNTS = {"train": (1, 2, 4, 6, 8), "growing": (1, 2, 4), "search": (1, 2, 4), "literal": (1,)}
SECONDS = 3.0  # of each measurement of speed
PATIENCE = 900.0  # seconds for a process that compares
TIMED_ON_A_CPU = ("train", "train, bf16", "search")
SLOW_ON_A_CPU = ("CKConv", "SMPConv, FFT", "capsules")  # large kernels; torch.fx cannot record the last one's routing


def code_digest() -> str:
    """Of all that a check's answer rests on."""
    entries = ["workflow.engine.search", "workflow.engine.train", "workflow.engine.measure", "workflow.check.equality"]
    return text_digest(json.dumps(code_digests(entries, within=(*COMPUTING, "workflow.check"))))


def place(device: str) -> dict[str, str | None]:
    """What a check holds for: {"device", "driver", "torch", "code"}."""
    found = provenance(device=device, threads=1, started="", data={})
    return {"device": found["device"], "driver": found["driver"], "torch": found["torch"], "code": code_digest()}


def checked(device: str, files: Iterable[Path] = gpu_pool.FILES) -> bool:
    """Whether this card has been checked, not only quickly, with this driver, torch and code."""
    wanted = {**place(device), "quick": False}
    records = [gpu_pool.read(path).get(str(wanted["device"]), {}) for path in files]
    return any({key: record.get(key) for key in wanted} == wanted for record in records)


class Check:
    """One check of a device (cpu or cuda:0). `quick`: a few kinds of training and nothing about speed."""

    def __init__(self, plan: Plan, *, quick: bool, log: Callable[[str], None] = print):
        self.plan, self.quick, self.log = plan, quick, log
        self.device = "cuda:0" if plan.device == "cuda" else "cpu"
        self.trouble: list[str] = []

    def run(self) -> int:
        """Do it all, print and keep it; 1 where something is wrong."""
        from workflow.check import preflight

        started, where = now(), place(self.plan.device)
        self.log(f"Checking {where['device']}, torch {where['torch']}, driver {where['driver'] or 'none'}")
        before = preflight.on_the_disk(self.plan, Path())
        before += preflight.on_the_card() if self.plan.device == "cuda" else []
        for text in before:
            self.log(f"  note: {text}")
        record = {
            "side_by_side": {},
            **self._measured(where),
            **where,
            "preflight": before,
            "equality": self._equality(),
        }
        if not self.quick:
            record |= self._speed()
        record["provenance"] = provenance(device=self.plan.device, threads=1, started=started, data={})
        record["trouble"] = self.trouble
        gpu_pool.keep(str(where["device"]), record)
        self._hours()
        verdict = f"{len(self.trouble)} things to mend first" if self.trouble else "ready"
        self.log(f"{verdict}; kept in {gpu_pool.HERE}")
        return int(bool(self.trouble))

    def _measured(self, where: dict) -> dict:
        """What a quick check lets stand of an earlier one: memory and speed; the whole one, where it holds here."""
        if not self.quick:
            return {"quick": False}
        earlier = gpu_pool.read(gpu_pool.HERE).get(str(where["device"]), {})
        return {**earlier, "quick": not {**where, "quick": False}.items() <= earlier.items()}

    def _equality(self) -> dict[str, dict]:
        """Kind of training -> what `equality.compare` found; each in a process of its own, since a failed capture spoils it."""
        from workflow.check.equality import KINDS, QUICK

        kinds = [name for name in KINDS if self.device != "cpu" or name not in SLOW_ON_A_CPU and "tf32" not in name]
        kinds = [name for name in kinds if not self.quick or name in QUICK]
        self.log(f"  replayed steps against plain ones, {len(kinds)} kinds of training")
        workers = max(1, min(4, (os.cpu_count() or 1) // (1 if self.device == "cpu" else 2)))
        # A failed capture spoils its process; a failed recording does not, and start-up is most of the time there.
        groups = (
            [kinds[start::workers] for start in range(workers)] if self.device == "cpu" else [[name] for name in kinds]
        )
        with ThreadPoolExecutor(workers) as pool:
            answers = pool.map(self._some_kinds, groups)
        found = {name: result for answer in answers for name, result in answer.items()}
        for name, result in found.items():
            self.log(f"    {'ok   ' if result['equal'] else 'WRONG'} {name}: {result['text']}")
            if not result["equal"]:
                self.trouble.append(f"{name}: {result['text']}")
        return found

    def _some_kinds(self, names: list[str]) -> dict[str, dict]:
        command = [sys.executable, "-m", "workflow.check.equality", self.device, *names]
        settings = environment(OMP_NUM_THREADS="1", CUBLAS_WORKSPACE_CONFIG=":4096:8")
        reason = f"took more than {PATIENCE:.0f} s"
        try:
            done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=PATIENCE)
            return json.loads(done.stdout.splitlines()[-1])
        except subprocess.TimeoutExpired:
            pass
        except (IndexError, ValueError):
            reason = "failed: " + (done.stderr.strip().splitlines() or ["no word"])[-1][:200]
        return dict.fromkeys(names, {"equal": False, "text": reason})

    def _speed(self) -> dict:
        """Memory, speed and the best number of jobs by kind; what the engine does otherwise than it could."""
        import torch

        from workflow.check.side_by_side import JOBS, VARIANTS, macs, measure
        from workflow.machine.lease import lease

        on_gpu, works = self.plan.device == "cuda", {**JOBS, **VARIANTS}
        rates: dict[str, float] = {}
        memory, speed, together = {}, {}, {}
        with lease(self.plan.device, exclusive=True) as device:
            whole = torch.cuda.get_device_properties(device).total_memory / 2**20 if on_gpu else None
            for name in works if on_gpu else TIMED_ON_A_CPU:
                work, counts = works[name], COUNTS.get(name, (1,)) if on_gpu else (1,)
                try:
                    memory[name], speeds = measure(work, counts, device=device, seconds=SECONDS)
                except UserError as error:
                    self.trouble.append(f"{name}: {error}")
                    continue
                speed[name] = {str(count): images for count, images in speeds.items()}
                rates |= {name: speeds[1] * macs(work)} if 1 in speeds else {}
                text = ", ".join(f"{count}: {images:,.0f}" for count, images in speeds.items())
                if whole and name in JOBS:
                    together[name] = gpu_pool.fitting(speeds, memory[name], whole)
                    text += f"; {together[name]} side by side"
                self.log(f"    {name}: {memory[name]:,.0f} MB, images/s by number of jobs {text}")
        found = {"memory_mb": memory, "images_per_second": speed, "macs_per_second": rates, "side_by_side": together}
        return {**found, **({"card_mb": whole} if on_gpu else self._convolution())}

    def _convolution(self) -> dict:
        """What the processor's arithmetics are worth, on one convolution."""
        from workflow.check.canary import FORMS, WHAT, canary, sentences

        found = canary()
        said = [f"{FORMS[form]} {1e3 * value:.2f} ms" for form, value in found.items() if isinstance(value, float)]
        self.log(f"    one convolution ({WHAT}): {', '.join(said)}")
        for text in sentences(found):
            self.log(f"    note: {text}")
        return {"convolution": found}

    def _hours(self) -> None:
        estimates = Estimates(self.plan, Path("results") / self.plan.preset)
        total = sum(estimates.seconds(step)[0] for step in steps(self.plan))
        self.log(f"  preset {self.plan.preset}: about {rounded(total)} one after the other. {estimates.basis()}")
