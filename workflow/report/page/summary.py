"""The head of the page: what was run, how it came out in one sentence, how complete it is, and what a reader should beware of."""

from collections import Counter
from dataclasses import dataclass

from workflow.protocol.runs import Run
from workflow.report import text
from workflow.report.claims import verdicts
from workflow.report.claims.claims import Claim, counts
from workflow.report.results import Evidence
from workflow.report.stats import sampling_error


@dataclass(frozen=True)
class Environment:
    """One combination of machine and software that results come from. `name`: E1, E2, ..."""

    name: str
    facts: dict
    runs: int


FACTS = (
    "device",
    "driver",
    "cpu",
    "cores",
    "threads",
    "platform",
    "python",
    "packages",
    "git_commit",
    "git_dirty",
    "data",
)


def _facts(provenance: dict) -> dict:
    return {fact: provenance.get(fact) for fact in FACTS if fact != "data"}


def environments(evidence: Evidence) -> tuple[list[Environment], dict[str, str]]:
    """The environments behind the finished runs, most used first, and the environment of each run id."""
    groups: dict[str, tuple[dict, list[str]]] = {}
    for state in evidence.states:
        if state.result:
            facts = _facts(state.result["provenance"])
            groups.setdefault(repr(facts), (facts, []))[1].append(state.run.id)
    ordered = sorted(groups.values(), key=lambda group: -len(group[1]))
    found = [Environment(f"E{i}", facts, len(ids)) for i, (facts, ids) in enumerate(ordered, 1)]
    return found, {run: env.name for env, (_, ids) in zip(found, ordered, strict=True) for run in ids}


def arithmetic(run: Run) -> str:
    """What a run computes in: its precision, and what else changes a number's last digits."""
    further = {"compiled": run.compile, "deterministic": run.deterministic}
    return ", ".join([run.precision, *(word for word, chosen in further.items() if chosen)])


def arithmetics(evidence: Evidence) -> list[str]:
    """Those of the finished runs, most used first; of the planned ones while there are none."""
    runs = [state.run for state in evidence.states if state.result] or evidence.plan.runs
    return [name for name, _ in Counter(map(arithmetic, runs)).most_common()]


def latest(evidence: Evidence) -> str | None:
    """When the youngest result was finished; the page carries no time of its own, so that it is the same when made again."""
    ends = [state.result["provenance"].get("ended") for state in evidence.states if state.result]
    return max((end for end in ends if end), default=None)


def outcome(claims: list[Claim]) -> str:
    """One sentence."""
    tally = counts(claims)
    words = {
        verdicts.HOLDS: ("holds", "hold"), verdicts.TOLERANCE: ("holds within tolerance", "hold within tolerance"),
        verdicts.FAILS: ("does not hold", "do not hold"), verdicts.UNDECIDED: ("is undecided", "are undecided"),
        verdicts.NOT_COMPARABLE: ("cannot be compared in this preset", "cannot be compared in this preset"),
        verdicts.NOT_RUN: ("was not run", "were not run"),
    }  # fmt: skip
    listed = [f"{tally[verdict]} {forms[tally[verdict] > 1]}" for verdict, forms in words.items() if tally[verdict]]
    tail = listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"
    return f"Of the paper's {len(claims)} claims, {tail}."


def completeness(evidence: Evidence) -> dict[str, int]:
    """How many of the planned runs stand how."""
    tally = dict.fromkeys(("done", "unfinished", "failed", "rejected", "not run"), 0)
    for state in evidence.states:
        tally[state.status] += 1
    return tally


def _several(facts: set, what: str) -> list[str]:
    known = sorted(str(fact) for fact in facts if fact is not None)
    return [f"Results come from {len(known)} {what}: {', '.join(known)}."] if len(known) > 1 else []


def warnings(evidence: Evidence) -> list[str]:
    """Sentences, most serious first; none where there is nothing to say."""
    plan, tally, found = evidence.plan, completeness(evidence), []
    if not plan.comparable:
        found.append(plan.banner)
    if lost := tally["failed"] + tally["rejected"]:
        found.append(
            f"{lost} of {len(evidence.states)} runs failed or were refused; their reasons stand under the tables and in the runs."
        )
    stale = [state for state in evidence.states if state.stale]
    if stale:
        names = sorted({name for state in stale for name in state.stale})
        found.append(
            f"{len(stale)} results are stale, made by other code, settings or data than the present ones ({text.some(tuple(names))}): "
            f"running the same command again renews them."
        )
    sources = [state.result["provenance"] for state in evidence.states if state.result]
    found += _several({source.get("device") for source in sources}, "devices")
    asked = set(plan.on_demand)  # rows of chapters, which may differ in it on purpose
    computed = {arithmetic(state.run) for state in evidence.states if state.result and state.run.place not in asked}
    found += _several(computed, "kinds of arithmetic")
    found += _several({source.get("torch") for source in sources}, "versions of torch")
    found += _several({(source.get("git_commit") or "")[:10] or None for source in sources}, "commits")
    if any(source.get("git_dirty") for source in sources):
        found.append("Some results were made with changes that are not in the commit that they name.")
    loud = [
        f"{row} ({dataset})"
        for (dataset, row), timing in evidence.timings.items()
        if timing.get("clocks_agree") is False
    ]
    if loud:
        found.append(
            f"Something else ran on the machine while {len(loud)} of {len(evidence.timings)} rows were timed, so that two clocks "
            f"disagree: {text.some(tuple(sorted(loud)))}."
        )
    return found


def test_sets(evidence: Evidence) -> dict[str, dict]:
    """For each data set: test images, and the sampling error of an accuracy (binomial) at the best measured mean."""
    from workflow.report.rows import rows_of

    found: dict[str, dict] = {}
    for row in rows_of(evidence).values():
        if row.accuracy and row.accuracy.mean > found.get(row.dataset, {}).get("accuracy", -1):
            error = sampling_error(row.accuracy.mean, row.test_images)
            found[row.dataset] = {"images": row.test_images, "accuracy": row.accuracy.mean, "error": error}
    return found


def cost(evidence: Evidence) -> float | None:
    """Seconds of training and searching that the whole plan takes by the timing records; None if a row has none."""
    total = 0.0
    for run in evidence.plan.runs:
        timing = evidence.timings.get((run.dataset, run.row))
        if timing is None:
            return None
        total += run.train.epochs * timing["train_seconds"]
        if run.search:
            total += run.search.epochs * (timing.get("search_seconds") or 0)
    return total
