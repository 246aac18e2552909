"""The steps of a plan (search, train, time) and the order in which they can be done. Torch-free."""

from dataclasses import dataclass

from workflow.plan.plan import Plan


@dataclass(frozen=True, order=True)
class Step:
    """One thing to do: `stage` search, train (member: a run's id) or time (member: `dataset/row`)."""

    stage: str
    member: str

    def __str__(self) -> str:
        return f"{self.stage} {self.member}"


def steps(plan: Plan) -> dict[Step, tuple[Step, ...]]:
    """Every step of a plan whose data can be had -> what has to be done before it."""
    found: dict[Step, tuple[Step, ...]] = {}
    for run in plan.runs:
        if run.dataset in plan.unavailable:
            continue
        before: tuple[Step, ...] = ()
        if run.search:
            before = (Step("search", run.id),)
            found[before[0]] = ()
        elif run.sizes:  # a rule that starts from another run's search
            before = (Step("search", run.sizes.run),)
            found[before[0]] = ()
        found[Step("train", run.id)] = before
        found.setdefault(Step("time", run.place), before)  # at the sizes of the first seed
    return found
