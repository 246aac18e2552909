"""Reads the records of the planned runs and says of each run how it stands.

done: a sound result.json · failed: failure.json, with its sentence · rejected: a record that does not pass its checks ·
unfinished: epochs in the history but no result · not run. A result made by other code or settings than the plan's is *stale*: it is
shown, with a warning.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from workflow.plan.names import row_of
from workflow.records.history import _read
from workflow.records.records import read_failure, read_timing, run_folder, timing_path
from workflow.records.state import RunState, _relative, _stale, _state

Key = tuple[str, str]  # data set, row
NOT_TIMED = "not timed yet"


@dataclass(frozen=True)
class Evidence:
    """Everything that the report rests on. `timing_reasons`: why a row that is planned has no seconds per epoch."""

    plan: dict
    results: Path
    states: tuple[RunState, ...]
    timings: dict[Key, dict]
    timing_reasons: dict[Key, str]
    timing_stale: frozenset[Key] = frozenset()
    rows: dict = field(default_factory=dict, compare=False)

    @cached_property
    def by_row(self) -> dict[Key, list[RunState]]:
        """The runs of each (data set, row), in the order of the plan."""
        found: dict[Key, list[RunState]] = {}
        for state in self.states:
            found.setdefault((state.run["dataset"], state.run["row"]), []).append(state)
        return found

    @property
    def real_data(self) -> bool:
        """Whether the runs see the real data sets; seconds per epoch mean something only then."""
        return self.plan.get("source", "synthetic" if self.plan["preset"] == "smoke" else "real") == "real"


def gather(plan: dict, results: Path, *, check_digests: bool = True) -> Evidence:
    """The evidence of a plan: rows that wait to be asked for count once a seed of theirs has a folder.

    `check_digests`: mark results of other code as stale (not meant for recorded results).
    """
    later = set(plan.get("on_demand", ()))  # absent from plans of recorded results
    asked = {row_of(run) for run in plan["runs"] if row_of(run) not in later or run_folder(results, run["id"]).exists()}
    runs = [run for run in plan["runs"] if row_of(run) in asked]
    states = tuple(_state(run, results, check_digests) for run in runs)
    timings, reasons, stale = {}, {}, set()
    for run in runs:
        key = (run["dataset"], run["row"])
        if key in timings or key in reasons:
            continue
        path = timing_path(results, *key)
        found = _read(read_timing, path)
        if isinstance(found, dict):
            timings[key] = found
            if _stale(found, run, "time", check_digests):
                stale.add(key)
        else:
            failure = read_failure(path.with_suffix(".failure.json"))
            reasons[key] = _relative(found or (failure["reason"] if failure else NOT_TIMED), results)
    return Evidence(plan, results, states, timings, reasons, frozenset(stale))
