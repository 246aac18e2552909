"""What a reader should beware of, where results come from, and how the self-checks came out."""

import json
from collections import Counter
from dataclasses import dataclass

from workflow.machine import gpu_pool
from workflow.records.state import RunState
from workflow.report import badges, text
from workflow.report.claims import protocols
from workflow.report.page.runs import arithmetic
from workflow.report.results import RECORDED, Evidence
from workflow.report.rows import rows_of, sizes_record
from workflow.report.stats import sampling_error
from workflow.support.errors import UserError
from workflow.support.known import known

FACTS = ("device", "driver", "cpu", "cores", "threads", "platform", "python", "packages", "git_commit", "git_dirty")


@dataclass(frozen=True)
class Environment:
    """One combination of machine and software that results come from. `name`: E1, E2, ..."""

    name: str
    facts: dict
    runs: int


def shown_states(evidence: Evidence) -> list[RunState]:
    """The finished runs that rows are made of: each row's best groups."""
    return [state for row in rows_of(evidence).values() for group in row.groups for state in group.states]


def environments(evidence: Evidence) -> list[Environment]:
    """The environments behind the results that are shown, most used first."""
    facts = [{fact: known(state.result)["provenance"].get(fact) for fact in FACTS} for state in shown_states(evidence)]
    counted = Counter(json.dumps(one, sort_keys=True) for one in facts)
    return [
        Environment(f"E{number}", json.loads(one), count)
        for number, (one, count) in enumerate(counted.most_common(), 1)
    ]


def latest(evidence: Evidence) -> str | None:
    """When the youngest result was finished; the page carries no time of its own, so that it is the same when made again."""
    ends = [known(state.result)["provenance"].get("ended") for state in shown_states(evidence)]
    return max((end for end in ends if end), default=None)


def measured_on(evidence: Evidence) -> str:
    """On which devices, and how many rows of each were timed, searched and trained: for the first screen."""
    counts: Counter[tuple[str, str]] = Counter()
    gpu = False
    for row in rows_of(evidence).values():
        records = [("timed", timing.record) for timing in row.timings]
        records += [("searched", sizes_record(state)) for state in row.searched if state.search]
        records += [("trained", known(state.result)) for state in row.done]
        counts.update({(protocols.device_of(record) or "", what) for what, record in records})
        gpu |= any(record["provenance"].get("driver") for _, record in records)
    devices: dict[str, list[str]] = {}
    for (device, what), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        devices.setdefault(badges.device_word(device), []).append(f"{text.counted(count, 'row')} {what}")
    if not devices:
        return "Nothing measured yet."
    found = " · ".join(f"{device}: {', '.join(words)}" for device, words in devices.items())
    return f"Measured on {found}{'' if gpu else ' · nothing on a GPU'}"


def _several(evidence: Evidence) -> list[str]:
    """Rows whose seeds come from more than one device: their accuracies are averaged all the same."""
    mixed = tuple(row.name for row in rows_of(evidence).values() if row.best and len(row.best.devices) > 1)
    if not mixed:
        return []
    rows = text.counted(len(mixed), "row")
    return [f"The seeds of {rows} come from more than one device, which their badges say: {text.some(mixed)}."]


def warnings(evidence: Evidence) -> list[str]:
    """Sentences, most serious first; none where there is nothing to say."""
    found = []
    if lost := sum(state.status in ("failed", "rejected") for state in evidence.states):
        found.append(
            f"{lost} of {text.counted(len(evidence.states), 'run')} failed or were refused; "
            "the reasons stand under the tables and in the runs."
        )
    if evidence.refused:
        found.append(
            f"{text.counted(len(evidence.refused), 'record')} could not be read and "
            f"{'is' if len(evidence.refused) == 1 else 'are'} not shown: the reasons stand in the runs."
        )
    rows = rows_of(evidence).values()
    if stale := [row for row in rows if row.stale]:
        names = sorted({name for row in stale for name in row.stale})
        found.append(
            f"{text.counted(len(stale), 'row')} {'rests' if len(stale) == 1 else 'rest'} on results of earlier code or data "
            f"({text.some(tuple(names))}), marked “earlier code”: "
            f"running the same command again renews them."
        )
    found += _several(evidence)
    later = set(evidence.plan.on_demand)  # rows of chapters, which may differ in it on purpose
    kinds = Counter(arithmetic(row.best.run) for row in rows if row.best and f"{row.dataset}/{row.id}" not in later)
    if len(kinds) > 1:
        found.append(
            f"Rows were computed in {len(kinds)} kinds of arithmetic, which their badges say: {', '.join(sorted(kinds))}."
        )
    if any(known(state.result)["provenance"].get("git_dirty") for state in shown_states(evidence)):
        found.append("Some results were made with changes that are not in the commit that they name.")
    found += _clocks(evidence)
    return found + _unchecked(evidence)


def _clocks(evidence: Evidence) -> list[str]:
    timed = [row for row in rows_of(evidence).values() if row.timing]
    loud = sorted(f"{row.id} ({row.dataset})" for row in timed if known(row.timing).get("clocks_agree") is False)
    if not loud:
        return []
    return [
        f"Something else ran on the machine while {len(loud)} of {text.counted(len(timed), 'row')} were timed, so that two clocks "
        f"disagree: {text.some(tuple(loud))}."
    ]


def _unchecked(evidence: Evidence) -> list[str]:
    """Cards that something on the page comes from and that no self-check stands for, or one that found something wrong."""
    records = [known(state.result) for state in shown_states(evidence)]
    for row in rows_of(evidence).values():
        records += [*map(sizes_record, row.searched), *(timing.record for timing in row.timings)]
    cards = {protocols.device_of(record) for record in records if record["provenance"].get("driver")}
    try:
        checks = _checks(evidence)
    except UserError as error:
        return [str(error)]
    found = []
    for card in sorted(filter(None, cards)):
        if card not in checks:
            found.append(f"{card} has not been checked: run python -m workflow check.")
        elif trouble := checks[card].get("trouble"):
            found.append(f"The self-check of {card} found {text.counted(len(trouble), 'thing')} to mend: {trouble[0]}.")
    return found


def _checks(evidence: Evidence) -> dict[str, dict]:
    """Card -> what `python -m workflow check` found, here or as it is kept with the code. UserError for a file that is damaged."""
    results = evidence.results
    folders = [results] if results.name == RECORDED else [results, results.parent, results.parent / RECORDED]
    return gpu_pool.known([folder / gpu_pool.HERE.name for folder in folders])


def test_sets(evidence: Evidence) -> dict[str, dict]:
    """For each data set: test images, and the sampling error of an accuracy (binomial) at the best measured mean."""
    found: dict[str, dict] = {}
    for row in rows_of(evidence).values():
        if row.accuracy and row.accuracy.mean > found.get(row.dataset, {}).get("accuracy", -1):
            error = sampling_error(row.accuracy.mean, known(row.test_images))
            found[row.dataset] = {"images": row.test_images, "accuracy": row.accuracy.mean, "error": error}
    return found


def selfcheck(evidence: Evidence) -> dict:
    """How the self-checks came out: {done, lost, total} of the smoke preset's runs here, and `cards`: name -> its check."""
    states = () if evidence.real_data else evidence.states
    tally = Counter(state.status for state in states)
    try:
        cards = _checks(evidence)
    except UserError:  # the warnings say so
        cards = {}
    return {"done": tally["done"], "lost": tally["failed"] + tally["rejected"], "total": len(states), "cards": cards}
