"""The search stage: Algorithm 1, stage 1, by the same loop as training; the network's kernels are predicted, its sizes learned."""

import importlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from effconv import FixedShapeSearch, KernelSizeSearch, SearchOptions, SizeSearch
from workflow.engine.checkpoint import Checkpoints
from workflow.engine.graphs import make_step
from workflow.engine.loop import Loop, Stage
from workflow.engine.optimisation import for_search
from workflow.engine.pixels import TrainingImages
from workflow.engine.randomness import derive
from workflow.engine.session import classes, images, input_shape, network, place, session
from workflow.engine.step import Step
from workflow.protocol.runs import Run
from workflow.protocol.search_methods import METHODS


class BudgetStep(Step):
    """A step of the budget alone: the images say only how many steps there are."""

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self.model.step_sizes()
        return self.model.penalty(), images.new_zeros(len(labels), 1)


def search_step(model: SizeSearch, train: TrainingImages, *, precision: str) -> Step:
    """The step of a search: captured where its shapes are fixed, without images where only the budget counts."""
    optimiser = lambda captured: for_search(model.parameter_groups(), train.device, captured=captured)
    if model.options.data_free:
        return BudgetStep(model, optimiser(False), train, precision=precision)
    return make_step(model, optimiser, train, precision=precision)


def fixed_shapes_pay(options: SearchOptions) -> bool:
    """Whether a search on CUDA is faster with fixed shapes, which make its step one launch in place of thousands.

    They take the greatest number of recurrent steps for every kernel. Literal predictors read gigabytes of weights in each, which
    takes longer than the launches that are saved.
    """
    return FixedShapeSearch.supports(options) and options.kernel_predictor == "projected" and not options.data_free


def build_search(run: Run, data, device: torch.device) -> SizeSearch:
    """The run's network wrapped for learning its kernel sizes under the run's budget, on the device."""
    wanted = run.search_stage
    module, method, options = METHODS[wanted.method]
    source = importlib.import_module(module)
    build, chosen = getattr(source, method), getattr(source, options).from_dict(dict(wanted.options))
    if device.type == "cuda" and build is KernelSizeSearch and fixed_shapes_pay(chosen):
        build = FixedShapeSearch
    model = build(
        network(run, data, stage="search"),
        input_shape=input_shape(data),
        parameters=wanted.parameters,
        macs=wanted.macs,
        options=chosen,
        seed=derive(run.seed, "search", "predictors"),
        device=device,  # whose memory has to hold the predictors
    )
    return place(model, device)


def search(
    run: Run,
    data,
    directory: Path,
    *,
    digest: str,
    log: Callable[[str], None] = print,
    deadline: float | None = None,
) -> dict:
    """Learn the kernel sizes of a run's network, going on from a checkpoint where there is one.

    Returns the measured fields of search.json. Raises OutOfTime (a checkpoint is written), NonFinite, UserError, and ValueError for
    a budget that no sizes reach.
    """
    wanted = run.search_stage
    if wanted.method == "random-search":
        whole = importlib.import_module(METHODS["random-search"][0]).search
        return whole(run, data, directory, digest=digest, log=log, deadline=deadline)
    with session(run, "search", log=log) as device:
        checkpoints = Checkpoints(directory, "search", digest, log)
        state = checkpoints.load(device)
        if state and "outcome" in state:
            return state["outcome"]
        sets = images(
            run,
            data,
            wanted.recipe,
            stage="search",
            batch_size=wanted.recipe.batch_size,
            device=device,
        )
        model = build_search(run, data, device)
        step = search_step(model, sets.train, precision=run.precision)
        stage = Stage(
            name="search", step=step, test=sets.test, epochs=wanted.epochs, classes=classes(run),
            columns=lambda: {"kernel_sizes": list(model.sizes), "parameters": model.deployed_parameters()},
        )  # fmt: skip
        loop = Loop(stage, directory=directory, checkpoints=checkpoints, log=log, deadline=deadline)
        loop.restore(state)
        del state  # it may be gigabytes
        rows = loop.run()
        outcome = {
            **_learned(model), "budget": {"parameters": wanted.parameters, "macs": wanted.macs}, "epochs": len(rows),
            "seconds_per_epoch": [row["seconds"] for row in rows], **loop.facts(),
        }  # fmt: skip
        # Small on purpose: the literal kernel predictor's state is gigabytes, and the sizes are all that is kept of a search.
        checkpoints.save({"outcome": outcome}, final=True)
        return outcome


def _learned(model: SizeSearch) -> dict:
    """What the search found, as plain values."""
    learned = model.learned()
    dilations: Callable | None = getattr(model, "dilations", None)
    found = {"dilations": list(dilations(learned.sizes.values()))} if dilations else {}
    return found | {
        "layers": list(learned.sizes), "sizes": [int(size) for size in learned.sizes.values()],
        "soft_sizes": [float(v) for v in learned.soft_sizes.values()], "chosen": learned.chosen,
        "last": {**learned.last, **{key: list(learned.last[key].values()) for key in ("sizes", "soft_sizes")}},
        "parameters": int(learned.parameters), "macs": int(learned.macs), "trajectory": learned.trajectory,
    }  # fmt: skip
