"""Learning rates by step: the arithmetic of a recipe's schedule.

* multistep: the base rate times gamma after each milestone. exponential: times gamma every epoch, down to a floor.
* warmup_cosine: b i / W up to i = W + 1 (the first step has rate 0, the peak is b (W + 1) / W), then a cosine to eta_min.
* linear: from 0 up to the base rate over the warm-up and down to 0 at the end, read off in the middle of each step.
* constant, validation: the base rate (what validation changes, the loop applies).
"""

import math

from workflow.protocol.recipes import Recipe


def rate(recipe: Recipe, step: int, steps_per_epoch: int, base: float | None = None) -> float:
    """Learning rate of step 0, 1, ... for a parameter group whose own base rate is `base` (default: the recipe's)."""
    base = recipe.lr if base is None else base
    if recipe.schedule == "multistep":
        return base * recipe.gamma ** sum(step >= milestone * steps_per_epoch for milestone in recipe.milestones)
    if recipe.schedule == "warmup_cosine":
        return _warmup_cosine(recipe, step, steps_per_epoch, base)
    if recipe.schedule == "linear":
        warmup, total, middle = recipe.warmup_epochs * steps_per_epoch, recipe.epochs * steps_per_epoch, step + 0.5
        return base * min(middle / warmup, (total - middle) / (total - warmup))
    if recipe.schedule == "exponential":
        return max(recipe.eta_min * base / recipe.lr, base * recipe.gamma ** (step // steps_per_epoch))
    return base


def _warmup_cosine(recipe: Recipe, step: int, steps_per_epoch: int, base: float) -> float:
    warmup = recipe.warmup_epochs * steps_per_epoch
    if warmup == 0:
        peak, start = base, 0.0
    elif step <= warmup + 1:
        return base * step / warmup
    else:
        peak, start = base * (warmup + 1) / warmup, warmup + 1
    length = max(1, (recipe.epochs - recipe.warmup_epochs) * steps_per_epoch)
    return recipe.eta_min + (peak - recipe.eta_min) * (1 + math.cos(math.pi * (step - start) / length)) / 2
