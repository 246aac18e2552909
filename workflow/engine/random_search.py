"""Random search with the images that EffConv's search would see: successive halving over sizes drawn at random under the budget.

`candidates` networks with random sizes (workflow/protocol/size_rules.py) train from the beginning, by the run's recipe at its first
learning rate. In each round every candidate left trains for the same number of steps and the better half goes on, ranked on a tenth
of the *training* set that no candidate is trained on. The steps of all rounds and candidates together are those of the search's
epochs. The winner's sizes are trained anew, as learned ones are. Successive halving: Jamieson and Talwalkar 2016.

After every candidate's part of a round a checkpoint is written; a stage that is stopped repeats at most one such part.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from effconv.trajectory import FIELDS
from workflow.engine.checkpoint import Checkpoints
from workflow.engine.errors import NonFinite, OutOfTime
from workflow.engine.evaluation import evaluate
from workflow.engine.graphs import make_step
from workflow.engine.optimisation import for_recipe
from workflow.engine.session import Images, classes, images, network, place, session
from workflow.protocol.recipes import Recipe
from workflow.protocol.runs import Run, Search
from workflow.protocol.size_rules import layers_of, random_sizes
from workflow.support.errors import UserError

HELD_OUT = 0.1  # share of the training images that rank the candidates


@dataclass(frozen=True, kw_only=True)
class RandomSearchOptions:
    """How many candidates start. What other keys the run's search options hold is EffConv's and not used."""

    candidates: int = 8

    def __post_init__(self) -> None:
        if self.candidates < 2:
            raise ValueError(f"candidates is {self.candidates}: give at least 2.")

    @classmethod
    def from_dict(cls, values: Mapping) -> "RandomSearchOptions":
        """From a run's search options."""
        return cls(**{key: value for key, value in values.items() if key == "candidates"})


def rounds_of(candidates: int, steps: int) -> list[tuple[int, int]]:
    """(candidates, steps of each) of every round: equal numbers of steps a round, at least one step each."""
    alive = []
    while candidates > 1:
        alive.append(candidates)
        candidates = math.ceil(candidates / 2)
    return [(count, max(1, steps // (len(alive) * count))) for count in alive]


class _Race:
    """The candidates of one search."""

    def __init__(self, run: Run, data, sets: Images, recipe: Recipe, device: torch.device) -> None:
        self.run, self.data, self.sets, self.recipe, self.device = run, data, sets, recipe, device
        wanted = run.search_stage
        if wanted.parameters is None:
            raise UserError(
                f"{run.id}: random search draws sizes for a budget of parameters: give the row's learn one."
            )
        self.layers = layers_of(run.system, run.arguments, run.constants)
        count = RandomSearchOptions.from_dict(wanted.options).candidates
        self.budget = wanted.parameters
        self.sizes = [self._drawn(number) for number in range(count)]

    def _drawn(self, number: int) -> list[int]:
        return random_sizes(self.layers, {"budget": self.budget, "draw": f"of search {self.run.seed}, {number}"})

    def part(self, number: int, held: dict | None, steps: int) -> dict:
        """Train candidate `number` on from what is held of it; what is to be held, with its accuracy on the held-out images."""
        model = place(network(self.run, self.data, stage="search", kernel_sizes=self.sizes[number]), self.device)
        each, device = self.sets.train.steps, self.device
        optimiser = lambda captured: for_recipe(
            model, self.recipe, steps_per_epoch=each, device=device, captured=captured
        )
        step = make_step(model, optimiser, self.sets.train, precision=self.run.precision)
        done = 0
        if held:
            model.load_state_dict(held["model"])
            step.load_optimizer(held["optimizer"])
            done = held["steps"]
        model.train()
        started = time.perf_counter()
        for step_index in range(done, done + steps):
            if step_index == done or step_index % each == 0:
                step.begin(step_index // each + 1)
            step.take(step_index % each)
        if wrong := step.first_non_finite((done + steps - 1) % each + 1):
            raise NonFinite("search", (done + steps - 1) // each + 1, wrong)
        seconds = time.perf_counter() - started
        assert self.sets.validation is not None  # the recipe holds images out
        score = evaluate(model, self.sets.validation, classes=classes(self.run), precision=self.run.precision)
        return {
            "model": model.state_dict(), "optimizer": step.optimizer.state_dict(), "steps": done + steps,
            "seconds": (held["seconds"] if held else 0.0) + seconds, "accuracy": score.accuracy,
        }  # fmt: skip


def search(
    run: Run, data, directory: Path, *, digest: str, log: Callable[[str], None] = print, deadline: float | None = None
) -> dict:
    """The best of the random candidates: the measured fields of search.json. Raises OutOfTime, NonFinite, UserError."""
    wanted = run.search_stage
    with session(run, "search", log=log) as device:
        checkpoints = Checkpoints(directory, "search", digest, log)
        state = checkpoints.load(device) or {
            "round": 0,
            "alive": None,
            "held": {},
            "scores": {},
            "log": [],
            "sittings": 0,
        }
        if "outcome" in state:
            return state["outcome"]
        recipe = dataclasses.replace(
            wanted.recipe, schedule="constant", held_out=round(HELD_OUT * run.constants.train_images)
        )
        sets = images(run, data, recipe, stage="search", batch_size=recipe.batch_size, device=device)
        race = _Race(run, data, sets, recipe, device)
        state["sittings"] += 1
        state["alive"] = state["alive"] or list(range(len(race.sizes)))
        rounds = rounds_of(len(race.sizes), wanted.epochs * math.ceil(len(data.train.images) / recipe.batch_size))
        for number in range(state["round"], len(rounds)):
            _round(race, state, rounds[number][1], checkpoints, deadline)
            ranked = sorted(state["alive"], key=lambda candidate: (-state["scores"][candidate], candidate))
            log(f"search round {number + 1}/{len(rounds)}: best {state['scores'][ranked[0]]:.2f} % on held-out images")
            _log(state, race, ranked[0], rounds, number)
            kept = sorted(ranked[: math.ceil(len(ranked) / 2)])
            state |= {"round": number + 1, "alive": kept, "scores": {}}
            state["held"] = {candidate: held for candidate, held in state["held"].items() if candidate in kept}
            checkpoints.save(state)
        outcome = _outcome(race, state, wanted)
        checkpoints.save({"outcome": outcome}, final=True)
        return outcome


def _round(race: _Race, state: dict, steps: int, checkpoints: Checkpoints, deadline: float | None) -> None:
    """One round for every candidate left that has not had it."""
    for candidate in state["alive"]:
        if candidate in state["scores"]:
            continue
        if deadline is not None and time.monotonic() >= deadline - 1.5 * checkpoints.seconds:
            raise OutOfTime(f"in round {state['round'] + 1}, before candidate {candidate + 1}")
        before = state["held"].get(candidate)
        state["held"][candidate] = race.part(candidate, before, steps)
        state["scores"][candidate] = state["held"][candidate]["accuracy"]
        state["log"].append({"seconds": state["held"][candidate]["seconds"] - (before["seconds"] if before else 0.0)})
        checkpoints.save(state)


def _log(state: dict, race: _Race, best: int, rounds: list[tuple[int, int]], number: int) -> None:
    """The round's best as an entry of the trajectory."""
    sizes = race.sizes[best]
    state["log"].append({
        "step": sum(count * steps for count, steps in rounds[: number + 1]), "sizes": sizes,
        "soft_sizes": [float(size) for size in sizes],
        "parameters": race.layers.parameters(sizes), "macs": race.layers.macs(sizes),
    })  # fmt: skip


def _outcome(race: _Race, state: dict, wanted: Search) -> dict:
    (best,) = state["alive"]
    sizes, entries = race.sizes[best], [entry for entry in state["log"] if "step" in entry]
    seconds = sum(entry["seconds"] for entry in state["log"] if "seconds" in entry)
    nothing = [0.0] * len(sizes)
    return {
        "layers": [f"layer{place}" for place in range(1, len(sizes) + 1)], "sizes": sizes,
        "soft_sizes": [float(size) for size in sizes],
        "chosen": {
            "rule": "successive halving", "step": entries[-1]["step"], "within": True,
            "deviation": abs(race.layers.parameters(sizes) / race.budget - 1),
        },
        "parameters": race.layers.parameters(sizes), "macs": race.layers.macs(sizes),
        "trajectory": {field: [entry.get(field, nothing) for entry in entries] for field in FIELDS},
        "budget": {"parameters": race.budget, "macs": None}, "epochs": wanted.epochs,
        "seconds_per_epoch": [seconds / wanted.epochs] * wanted.epochs, "sittings": state["sittings"],
    }  # fmt: skip
