"""Optimisers and their parameter groups: a recipe's, with what a model asks for, or those of a kernel-size search."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from workflow.engine.schedules import rate
from workflow.protocol.recipes import Recipe


@dataclass(frozen=True)
class OptimizerSchedule:
    """An optimiser and the learning rate of each of its groups at step 0, 1, ... of the stage."""

    optimizer: torch.optim.Optimizer
    rates: Callable[[int], list[float]]


def recipe_groups(model: nn.Module, recipe: Recipe) -> list[dict]:
    """Groups with params, lr_factor, weight_decay and name: the model's own (`parameter_groups(recipe)`), or all parameters alike.

    Parameters that need no gradient are left out. Biases are a group of their own where the recipe does not decay them.
    """
    own = getattr(model, "parameter_groups", None)
    if own is not None:
        groups = own(recipe)
    elif recipe.decay_biases or not recipe.weight_decay:
        groups = [{"params": list(model.parameters()), "name": "all"}]
    else:
        named = list(model.named_parameters())
        groups = [
            {"params": [p for n, p in named if n.rpartition(".")[2] != "bias"], "name": "weights"},
            {"params": [p for n, p in named if n.rpartition(".")[2] == "bias"], "name": "biases", "weight_decay": 0.0},
        ]
    full = []
    for group in groups:
        chosen = [p for p in group["params"] if p.requires_grad]
        if chosen:
            full.append({"lr_factor": 1.0, "weight_decay": recipe.weight_decay, "name": "", **group, "params": chosen})
    return full


def _rate(value: float, device: torch.device, captured: bool) -> float | torch.Tensor:
    """A captured step reads its rate from a tensor, since a number would be frozen into the graph."""
    return torch.tensor(value, device=device, dtype=torch.float32) if captured else value


def for_recipe(
    model: nn.Module, recipe: Recipe, *, steps_per_epoch: int, device: torch.device, captured: bool = False
) -> OptimizerSchedule:
    """The recipe's optimiser (fused) over the model's parameters, and its schedule."""
    groups = recipe_groups(model, recipe)
    bases = [recipe.lr * group["lr_factor"] for group in groups]
    settings = [
        {"params": g["params"], "lr": _rate(b, device, captured), "weight_decay": g["weight_decay"], "name": g["name"]}
        for g, b in zip(groups, bases, strict=True)
    ]
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            settings,
            lr=_rate(recipe.lr, device, captured),
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            fused=True,
        )
    elif recipe.optimizer == "adam":
        optimizer = torch.optim.Adam(
            settings,
            lr=_rate(recipe.lr, device, captured),
            betas=recipe.betas,
            eps=recipe.eps,
            fused=True,
            capturable=captured,
        )
    else:
        raise ValueError(f"recipe '{recipe.name}' has optimizer '{recipe.optimizer}': use sgd or adam.")
    return OptimizerSchedule(optimizer, lambda step: [rate(recipe, step, steps_per_epoch, base) for base in bases])


def for_search(groups: list[dict], device: torch.device, *, captured: bool = False) -> OptimizerSchedule:
    """AdamW (fused) over groups with params, lr, weight_decay and name, at constant rates (Algorithm 1, stage 1)."""
    groups = [group for group in groups if group["params"]]
    rates = [float(group["lr"]) for group in groups]
    settings = [{**group, "lr": _rate(rate, device, captured)} for group, rate in zip(groups, rates, strict=True)]
    optimizer = torch.optim.AdamW(settings, lr=_rate(rates[0], device, captured), fused=True, capturable=captured)
    return OptimizerSchedule(optimizer, lambda step: rates)
