"""The records of the planned runs, and the seconds per epoch of their rows. A stale result is shown, with a warning."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from workflow.plan.digests import expected_digests
from workflow.plan.plan import Plan
from workflow.records.records import read_cached, read_failure, read_timing, run_folder, timing_path
from workflow.records.state import RunState, changed_digests, state_of

Key = tuple[str, str]  # data set, row
NOT_TIMED = "not timed yet"


@dataclass(frozen=True)
class Evidence:
    """Everything that the report rests on. `timing_reasons`: why a row that is planned has no seconds per epoch; `counts`:
    parameters of rows that have no result."""

    plan: Plan
    results: Path
    states: tuple[RunState, ...]
    timings: dict[Key, dict]
    timing_reasons: dict[Key, str]
    timing_stale: frozenset[Key] = frozenset()
    counts: dict[Key, int] = field(default_factory=dict)
    rows: dict = field(default_factory=dict, compare=False)

    @cached_property
    def by_row(self) -> dict[Key, list[RunState]]:
        """The runs of each (data set, row), in the order of the plan."""
        found: dict[Key, list[RunState]] = {}
        for state in self.states:
            found.setdefault((state.run.dataset, state.run.row), []).append(state)
        return found

    @property
    def real_data(self) -> bool:
        """Whether the runs see the real data sets; seconds per epoch mean something only then."""
        return self.plan.source == "real"


def gather(plan: Plan, results: Path) -> Evidence:
    """The evidence of a plan: rows that wait to be asked for count once a seed of theirs has a folder."""
    later = set(plan.on_demand)
    asked = {run.place for run in plan.runs if run.place not in later or run_folder(results, run.id).exists()}
    states = tuple(state_of(run, results) for run in plan.runs if run.place in asked)
    timings, reasons, stale = {}, {}, set()
    for run in (state.run for state in states):
        key = (run.dataset, run.row)
        if key in timings or key in reasons:
            continue
        path = timing_path(results, *key)
        found = read_cached(read_timing, path)
        if isinstance(found, dict):
            timings[key] = found
            if changed_digests(found, expected_digests(run, "time")):
                stale.add(key)
        else:
            failure = read_failure(path.with_suffix(".failure.json"))
            reason = found or (failure["reason"] if failure else NOT_TIMED)
            reasons[key] = reason.replace(f"{results}/", "")
    return Evidence(plan, results, states, timings, reasons, frozenset(stale))
