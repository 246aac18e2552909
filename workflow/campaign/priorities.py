"""What is worth running first: which runs unlock most of the report per hour. Torch-free.

The rule. A claim is worth 1 when everything it rests on is done, and nothing before. A table, figure or chapter is worth 1 too, in
equal parts for its rows, and a row's part in equal parts for its seeds and its seconds per epoch, each as soon as it is there. What
can be taken next is a single step, or all that a claim still lacks, with the searches that these rest on; chosen is what is worth
most per hour of its cost and still fits into the time. Chapters that the plain report leaves out are worth nothing here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from workflow.plan.plan import Plan
from workflow.plan.steps import Step, steps
from workflow.report.claims import claims as written
from workflow.report.claims.rules import rests_on


def shares(plan: Plan, known: Iterable[Step]) -> dict[Step, float]:
    """Step -> what tables, figures and the plain report's chapters give for it."""
    worth = dict.fromkeys(known, 0.0)
    of_row: dict[str, list[Step]] = {}
    for step in worth:
        row = step.member if step.stage == "time" else step.member.rpartition("/")[0]
        if step.stage != "search":
            of_row.setdefault(row, []).append(step)
    later = set(plan.on_demand)
    for entry in plan.tables.values():
        rows = [row for row in entry.places if row in of_row and row not in later]
        for row in rows:
            for step in of_row[row]:
                worth[step] += 1 / len(rows) / len(of_row[row])
    return worth


def _needed(basis: str, row: str, known: set[Step]) -> set[Step]:
    """What has to be done of a row before a claim can look at it. A step that is not planned stands for what cannot be had."""
    if basis == "seconds":
        return {Step("time", row)}
    of_row = lambda stage: {step for step in known if step.stage == stage and step.member.rpartition("/")[0] == row}
    found = (of_row("search") if basis == "sizes" else set()) or of_row("train") or {Step("train", row)}
    return {min(found)} if basis == "counts" else found  # every seed has the same network


def claims(plan: Plan, known: Iterable[Step], definitions: Sequence[dict] | None = None) -> dict[str, frozenset[Step]]:
    """Claim -> the steps it rests on; claims with a row that the plan cannot run are left out, quoted rows ask for nothing."""
    definitions = definitions or written.definitions()
    known, found = set(known), {}
    measured = {f"{e.dataset}/{row.row}" for e in plan.tables.values() for row in e.rows if row.system}
    for claim in definitions:
        needed: set[Step] = set()
        for basis, row in rests_on(claim, plan.tables):
            needed |= _needed(basis, row, known) if row in measured else set()
        if needed and needed <= known:
            found[claim["id"]] = frozenset(needed)
    return found


@dataclass(frozen=True)
class Choice:
    """What to do next: `steps` in order, their seconds together, what they are worth, and the claims that they complete."""

    steps: tuple[Step, ...]
    seconds: float
    worth: float
    claims: tuple[str, ...]


class Chooser:
    """Picks the best of what is left, again and again. `cost`: seconds of a step."""

    def __init__(
        self, plan: Plan, done: set[Step], cost: Callable[[Step], float], definitions: Sequence[dict] | None = None
    ):
        self.before = steps(plan)
        self.left = set(self.before) - done
        self.cost = {step: max(cost(step), 1e-3) for step in self.left}
        self.share = shares(plan, self.before)
        needs = claims(plan, self.before, definitions)
        self.open = {name: set(needed) - done for name, needed in needs.items() if set(needed) - done}
        self.after: dict[Step, list[Step]] = {}
        for step, before in self.before.items():
            for one in before:
                self.after.setdefault(one, []).append(step)
        # A step that alone completes a claim is weighed with it as that claim's choice.
        self.single = {step: self._choice([step]) for step in sorted(self.left) if self.share[step]}

    def _with_before(self, wanted: Iterable[Step]) -> tuple[Step, ...]:
        """`wanted` and what has to come first, in an order that can be run."""
        ordered: dict[Step, None] = {}
        for step in sorted(wanted):
            for one in (*self.before[step], step):
                if one in self.left:
                    ordered[one] = None
        return tuple(ordered)

    def _choice(self, wanted: Iterable[Step]) -> Choice:
        taken = self._with_before(wanted)
        completed = tuple(name for name, needed in self.open.items() if needed <= set(taken))
        worth = sum(self.share[step] for step in taken) + len(completed)
        return Choice(taken, sum(self.cost[step] for step in taken), worth, completed)

    def next(self, seconds: float = float("inf")) -> Choice | None:
        """The best choice of at most so many seconds, taken off what is left; None where nothing fits or is worth anything."""
        candidates = [*self.single.values(), *(self._choice(needed) for needed in self.open.values())]
        fitting = [one for one in candidates if one.worth and one.seconds <= seconds]
        if not fitting:
            return None
        best = max(fitting, key=lambda one: one.worth / one.seconds)
        self._take(best)
        return best

    def _take(self, choice: Choice) -> None:
        self.left -= set(choice.steps)
        for step in choice.steps:
            self.single.pop(step, None)
        for step in choice.steps:
            for later in self.after.get(step, ()):
                if later in self.single:
                    self.single[later] = self._choice([later])  # cheaper now
        for name in list(self.open):
            self.open[name] -= set(choice.steps)
            if not self.open[name]:
                del self.open[name]

    def all(self, seconds: float = float("inf")) -> list[Choice]:
        """Choices until the time is full."""
        found = []
        while choice := self.next(seconds):
            seconds -= choice.seconds
            found.append(choice)
        return found
