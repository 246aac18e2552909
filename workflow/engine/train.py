"""The train stage: a plain network, initialised afresh, trained by a recipe (Algorithm 1, stage 2; every baseline)."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from effconv import count_macs, count_parameters
from workflow.engine.checkpoint import Checkpoints
from workflow.engine.evaluation import evaluate
from workflow.engine.graphs import make_step
from workflow.engine.loop import Loop, Stage
from workflow.engine.optimisation import for_recipe
from workflow.engine.pixels import TestImages
from workflow.engine.session import classes, images, input_shape, listed_sizes, network, place_for_training, session
from workflow.engine.validation import rate_scale
from workflow.protocol.runs import Run
from workflow.support.files import write_bytes


def train(
    run: Run,
    data,
    directory: Path,
    *,
    kernel_sizes: list[int] | None = None,
    dilations: list[int] | None = None,
    digest: str,
    log: Callable[[str], None] = print,
    deadline: float | None = None,
) -> dict:
    """Train a run's network with the given kernel sizes and dilations (None: its own), going on from a checkpoint where there is one.

    Returns the measured fields of result.json. Raises OutOfTime (a checkpoint is written), NonFinite, UserError.
    """
    with session(run, "train", log=log) as device:
        checkpoints = Checkpoints(directory, "train", digest, log)
        state = checkpoints.load(device)
        if state and "outcome" in state:
            return state["outcome"]
        recipe = run.train.recipe
        sets = images(run, data, recipe, stage="train", batch_size=recipe.batch_size, device=device)
        built = network(run, data, stage="train", kernel_sizes=kernel_sizes, dilations=dilations)
        model = place_for_training(run, built, device)
        step = make_step(
            model,
            lambda captured: for_recipe(
                model, recipe, steps_per_epoch=sets.train.steps, device=device, captured=captured
            ),
            sets.train,
            precision=run.precision,
        )
        stage = Stage(
            name="train", step=step, test=sets.test, epochs=recipe.epochs, classes=classes(run),
            columns=lambda: columns(model, sets.validation, classes(run), run.precision),
            rate_scale=partial(rate_scale, seed=run.seed) if recipe.schedule == "validation" else None,
        )  # fmt: skip
        loop = Loop(stage, directory=directory, checkpoints=checkpoints, log=log, deadline=deadline)
        loop.restore(state)
        del state
        rows = loop.run()
        scores = loop.scores or evaluate(model, sets.test, classes=classes(run), precision=run.precision)
        scores.save(directory / "predictions.npz")
        outcome = {
            **summary(rows, test_images=sets.test.count),
            "parameters": count_parameters(model), "macs": count_macs(model, input_shape(data)),
            "kernel_sizes": listed_sizes(model), **loop.facts(),
        }  # fmt: skip
        save_kernels(model, directory / "kernels.npz")
        checkpoints.save({"outcome": outcome, "model": model.state_dict()}, final=True)
        return outcome


def columns(model: nn.Module, validation: TestImages | None, classes: int, precision: str) -> dict:
    """What a training epoch records besides: kernel sizes, accuracy on held-out images, and the model's own columns."""
    found: dict = {"kernel_sizes": listed_sizes(model), "parameters": None}
    own = getattr(model, "history_columns", None)
    if own is not None:
        found |= own()
    if validation:
        found["validation_accuracy"] = evaluate(model, validation, classes=classes, precision=precision).accuracy
    return found


def save_kernels(model: nn.Module, path: Path) -> None:
    """What figure 2 draws: for each convolution whose size can be learned, in forward order, the root mean square (s, s) of its
    trained kernels over input and output channels, float32. Nothing is written for a network that has no such convolutions."""
    images = [
        conv.weight.detach().float().square().mean((0, 1)).sqrt() for conv in getattr(model, "sized_convolutions", ())
    ]
    if images:
        packed = io.BytesIO()
        np.savez(packed, **{f"layer{number:02}": image.cpu().numpy() for number, image in enumerate(images, 1)})
        write_bytes(path, packed.getvalue())


def summary(rows: list[dict], *, test_images: int) -> dict:
    """The accuracy fields of a result: the last epoch's, and beside it the best epoch's (the first of equals)."""
    last, best = rows[-1], max(rows, key=lambda row: row["accuracy"])
    return {
        "accuracy": last["accuracy"], "top5": last["top5"], "correct": last["correct"], "test_images": test_images,
        "cross_entropy": last["cross_entropy"],
        "best_accuracy": best["accuracy"], "best_epoch": best["epoch"], "train_accuracy": last["train_accuracy"],
        "loss": last["loss"], "epochs": len(rows), "seconds_per_epoch": [row["seconds"] for row in rows],
    }  # fmt: skip
