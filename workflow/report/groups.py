"""Groups: results of a row that were made alike, and which of them are the best evidence.

Alike: one protocol, one description but for the seed, one code. The best group is the one of the nearest protocol, then of most seeds,
then of present code, then measured here.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from workflow.plan.digests import present
from workflow.protocol.runs import Run
from workflow.records.state import RunState
from workflow.report.claims import protocols
from workflow.report.results import place_of
from workflow.support.known import known


@dataclass(frozen=True)
class Group:
    """Finished runs of a row that differ in nothing but their seeds (and in what a seed draws), in the order of the seeds."""

    protocol: str  # paper | short | other, of the accuracy
    training: str  # the same of the training alone
    states: tuple[RunState, ...]

    @property
    def run(self) -> Run:
        return self.states[0].run

    @property
    def stale(self) -> tuple[str, ...]:
        """What has changed since the results were made."""
        return tuple(sorted({name for state in self.states for name in state.stale}))

    @property
    def places(self) -> list[str]:
        """Where the records lie: names of folders under results/recorded, "" for here."""
        return sorted({place_of(state.folder) or "" for state in self.states})

    @property
    def devices(self) -> dict[str, int]:
        """How many of the runs were made on which device."""
        return Counter(protocols.device_of(known(state.result)) or "unknown device" for state in self.states)


def alike(state: RunState) -> str:
    """What two results must share to be averaged, as a text. A draw of sizes belongs to its seed."""
    numbers = state.run.numbers("train")
    arguments = {key: value for key, value in numbers.pop("arguments").items() if key != "kernel_sizes"}
    numbers = {key: value for key, value in numbers.items() if key not in ("seed", "sizes")}
    # The sizes that a search found are the seed's own; what they follow from is the description.
    digests = present(known(state.result).get("digests", {}))
    code = {key: value for key, value in digests.items() if key not in ("run", "sizes")}
    plain = protocols.protocol_of(known(state.result)["run"])
    return json.dumps([plain, arguments, numbers, code, bool(state.stale)], sort_keys=True, default=str)


def groups_of(states: Iterable[RunState]) -> tuple[Group, ...]:
    """The groups of the finished runs among these, best first. A seed that was run twice counts once: here before elsewhere."""
    by_key: dict[str, dict[int, RunState]] = {}
    for state in states:
        if state.result:
            by_key.setdefault(alike(state), {}).setdefault(state.run.seed, state)
    found = []
    for seeds in by_key.values():
        ordered = tuple(seeds[seed] for seed in sorted(seeds))
        run = known(ordered[0].result)["run"]
        found.append(Group(protocols.protocol_of(run), protocols.training_of(run), ordered))
    nearness = {name: place for place, name in enumerate(protocols.PROTOCOLS)}
    order = lambda group: (
        nearness[group.protocol],
        nearness[group.training],
        -len(group.states),
        bool(group.stale),
        "" not in group.places,
    )
    return tuple(sorted(found, key=order))
