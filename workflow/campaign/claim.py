"""`python -m workflow claim ID`: run exactly what one claim of the paper rests on, and judge it.

Counts need a built network only, seconds the timing of their rows (workflow/times), sizes the searches, accuracy the
searches and the training at the preset's protocol: `short` unless `paper` is asked for. Records that are there, here or
among those kept with the code, are used as they are.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workflow.jobs import STOPPED, Job
from workflow.overview.estimates import Estimates, network
from workflow.plan.config import load
from workflow.plan.digests import expected_digests
from workflow.plan.make import make_plan
from workflow.plan.steps import Step
from workflow.protocol.runs import Run
from workflow.records.records import read_cached, read_timing, timing_path
from workflow.records.state import RunState, changed_digests, state_of
from workflow.report.claims.claims import definitions, judged
from workflow.report.claims.files import line, part_line
from workflow.report.claims.protocols import COUNTS, SECONDS, SIZES, device_of, why_not_timed_alike
from workflow.report.claims.rules import rests_on
from workflow.report.results import Evidence, Key, Timing, gather
from workflow.support.durations import rounded
from workflow.support.errors import UserError
from workflow.support.files import write_json
from workflow.support.nearest import advice
from workflow.times.times import Times, own_folders, time_rows, times_plan


def definition(name: str) -> dict:
    """A claim of config/claims.yaml. Raises UserError for a name that it does not have."""
    by_id = {claim["id"]: claim for claim in definitions()}
    if name not in by_id:
        meant = advice(name, by_id, f"the claims are {', '.join(by_id)}.")
        raise UserError(f"there is no claim '{name}'; {meant}")
    return by_id[name]


def searched(state: RunState) -> bool:
    """Whether a run's search is there, by this code."""
    return state.search is not None and not changed_digests(state.search, expected_digests(state.run, "search"))


class OneClaim:
    """One claim, its records in `results`/<preset> and `results`/times. `user`: configuration on top of config.yaml.

    What is kept under results/recorded is not taken for this machine's: whoever checks a claim measures it. Equal searches are
    taken over by the job that needs them, and said to be.
    """

    def __init__(self, name: str, user: dict, results: Path, reports: Path):
        self.claim, self.user, self.reports = definition(name), dict(user), reports
        if self.user.get("preset", "auto") == "auto":
            self.user["preset"] = "short"
        if self.user["preset"] == "smoke":
            raise UserError("the smoke preset decides no claim: take --preset short or paper.")
        config = load(self.user)
        tables = make_plan(config).tables
        measured = {f"{entry.dataset}/{row.row}" for entry in tables.values() for row in entry.rows if row.system}
        self.rests = {(basis, place) for basis, place in rests_on(self.claim, tables) if place in measured}
        self.config = {
            **config,
            "only": sorted({place for _, place in self.rests}),
            "jobs": {"seeds": "one", "timing": "row"},
        }
        self.plan = make_plan(self.config)
        self.results, self.times = results / self.plan.preset, results / "times"
        others = [folder for folder in own_folders(results) if folder not in (self.results, self.times)]
        self.folders = [self.results, self.times, *others]
        self.first = {run.place: run for run in reversed(self.plan.runs)}
        self.failed = False

    def state(self, run: Run) -> RunState:
        """Where a run stands, in the first folder where it is done, else where its search is, else here."""
        states = [state_of(run, folder) for folder in self.folders]
        return next((s for s in states if s.status == "done"), None) or next(filter(searched, states), states[0])

    def steps(self) -> list[Step]:
        """The searches and training that the claim lacks, in order."""
        wanted: dict[Step, None] = {}
        for basis, place in sorted(self.rests):
            for run in (run for run in self.plan.runs if run.place == place and basis != SECONDS):
                state = self.state(run)
                trains = basis not in (COUNTS, SIZES) or basis == SIZES and not run.search
                if run.search and state.status != "done" and not searched(state):
                    wanted[Step("search", run.id)] = None
                if trains and state.status != "done":
                    wanted[Step("train", run.id)] = None
        return list(wanted)

    def timings(self, *, alike: bool = True) -> dict[str, dict]:
        """Timing records of the rows whose seconds are compared, of the one device that has the most of them.

        `alike`: only such as may be compared, on a machine that had nothing else to do.
        """
        by_device: dict[str, dict[str, dict]] = {}
        for folder in (self.times, *self.folders):
            for place in self.timed_rows():
                run = self.first[place]
                record = read_cached(read_timing, timing_path(folder, run.dataset, run.row))
                if isinstance(record, dict) and not (alike and why_not_timed_alike(run.to_json(), record)):
                    by_device.setdefault(device_of(record) or "", {}).setdefault(place, record)
        return max(by_device.values(), key=len, default={})

    def timed_rows(self) -> list[str]:
        """`dataset/row` of the rows whose seconds are compared."""
        return sorted(place for basis, place in self.rests if basis == SECONDS and place in self.first)

    def rows_to_time(self) -> list[str]:
        """`dataset/row` of the rows that have to be timed: none where all are, on one device, else all."""
        rows = self.timed_rows()
        return [] if self.timings().keys() >= set(rows) else rows

    def evidence(self) -> Evidence:
        """What the claim is judged by, from every folder."""
        found = gather(self.plan, self.results)
        records = self.timings(alike=not self.rows_to_time())
        timed = {
            (self.first[place].dataset, self.first[place].row): [Timing(record, self.results)]
            for place, record in records.items()
        }
        reasons = {key: reason for key, reason in found.timing_reasons.items() if key not in timed}
        states = tuple(self.state(state.run) for state in found.states)
        return replace(
            found, states=states, timings={**found.timings, **timed}, timing_reasons=reasons,
            counts=self.counts(), rows={},
        )  # fmt: skip

    def counts(self) -> dict[Key, int]:
        """Parameters of the rows of which only the count matters: of the built network, or of a search's result."""
        found: dict[Key, int] = {}
        for basis, place in self.rests:
            if basis == COUNTS and (run := self.first.get(place)):
                search = self.state(run).search
                if search or not run.search:
                    found[run.dataset, run.row] = search["parameters"] if search else network(run).parameters
        return found

    def run(self, *, cost_only: bool = False) -> int:
        """Say what it costs, do it, print the verdict; the exit status: 1 where something it rests on could not be had."""
        print(f"{self.claim['id']}: {self.claim['says']} ({self.claim['where']}; paper: {self.claim['paper']})")
        for basis in sorted({basis for basis, _ in self.rests}):
            print(f"It rests on the {basis} of {', '.join(sorted(place for b, place in self.rests if b == basis))}.")
        steps, rows = self.steps(), self.rows_to_time()
        self.say_cost(steps, rows)
        if cost_only:
            return 0
        self.prepare(steps)
        if rows:
            plan = times_plan({**self.user, "preset": "auto"})
            status = time_rows(plan, self.times, [run for run in plan.runs if run.place in rows])
            if status == STOPPED:
                return STOPPED
            self.failed |= bool(status)
        for step in steps:
            if (run := self.plan.by_id[step.member]).dataset in self.plan.unavailable:
                continue
            job = next(name for name, members in self.plan.jobs[step.stage].items() if run.id in members)
            self.failed |= bool(Job(step.stage, job, self.plan, self.results).execute())
        self.print_verdict()
        return int(self.failed)

    def say_cost(self, steps: Sequence[Step], rows: Sequence[str]) -> None:
        """One line a thing to do, and the sum."""
        costs: list[tuple[float, str]] = []
        if rows:
            plan = times_plan({**self.user, "preset": "auto"})
            times = Times(plan, self.times, self.folders)
            costs += [(times.estimate(run), f"time {run.place}") for run in plan.runs if run.place in rows]
        estimates = Estimates(self.plan, self.results) if steps else None
        costs += [(estimates.seconds(step)[0], str(step)) for step in steps] if estimates else []
        for seconds, what in costs:
            print(f"{rounded(seconds):>9}  {what}")
        if not costs:
            print("Everything it rests on is there.")
            return
        total = rounded(sum(seconds for seconds, _ in costs))
        print(f"To do: {len(costs)} steps, about {total} on {self.plan.device}, preset {self.plan.preset}.")
        if estimates:
            print(estimates.basis())

    def prepare(self, steps: Sequence[Step]) -> None:
        """Prepare the data sets that the steps need; those that cannot be had are said, and their steps left out."""
        from workflow.data import prepare

        absent = dict(self.plan.unavailable)
        needed = {self.plan.by_id[step.member].dataset: self.plan.by_id[step.member].data for step in steps}
        for dataset, folder in needed.items():
            try:
                if dataset not in absent:
                    prepare(dataset, source="auto", folder=Path(self.plan.data), out=Path(folder), synthetic=None)
            except UserError as error:
                absent[dataset] = str(error)
            if dataset in absent:
                self.failed = True
                print(f"{dataset} has to wait: {absent[dataset]}")
        self.plan = replace(self.plan, unavailable=absent)

    def print_verdict(self) -> None:
        """The claim's entry of claims.json, written to `reports`/claims/<id>.json and printed."""
        claim = next(found for found in judged(self.evidence()) if found.id == self.claim["id"])
        entry = {**line(claim), "parts": [part_line(part) for part in claim.parts]}
        write_json(self.reports / "claims" / f"{claim.id}.json", {"preset": self.plan.preset, "claims": [entry]})
        for part in entry["parts"]:
            print(f"{part['verdict']:24}  {part['measured']}")
            if part["short"]:
                print(f"{'  at the short protocol':24}  {part['short']['direction']}: {part['short']['measured']}")
            if part["devices"]:
                print(f"{'  measured on':24}  {', '.join(part['devices'])}")
        print(f"VERDICT on {entry['id']}: {entry['verdict']} (paper: {entry['paper']})")
