"""Weights and work of a convolution against a fully connected layer of the same shape: (l^2 c)^2 against k^2 c^2."""

import torch
from torch import nn

from workflow.primer.effort import Effort
from workflow.primer.measuring import convolution, difference, filled, meta, noise, weights, work
from workflow.primer.statement import ARTICLE, Statement, equality, judge, judge_equal

TOPIC = "Convolution against fully connected"


def dense(side: int, channels: int) -> nn.Module:
    """A fully connected layer from an image to one of the same shape."""
    length = side * side * channels
    return meta(lambda: nn.Sequential(nn.Flatten(), nn.Linear(length, length, bias=False)))


def convolution_weights(effort: Effort) -> Statement:
    found = weights(convolution(64, 64, 3))
    text = "Weights of a convolution, k²c², for k = 3 and c = 64"
    return Statement("conv-weights", TOPIC, text, ARTICLE, 36_864, found, judge(36_864, found))


def dense_weights(effort: Effort) -> Statement:
    found = weights(dense(8, 4))
    text = "Weights of a fully connected layer, (l²c)², for l = 8 and c = 4"
    return Statement("dense-weights", TOPIC, text, ARTICLE, 65_536, found, judge(65_536, found))


def _ratio(key: str, side: int, size: int, printed: float, *, of_work: bool) -> Statement:
    layers = (dense(side, 1), convolution(1, 1, size))
    many, few = (work(layer, 1, side) for layer in layers) if of_work else map(weights, layers)
    what, formula = ("work", "l²/k²") if of_work else ("weights", "l⁴/k²")
    text = f"How many times the {what} of a convolution a fully connected layer has, {formula}, for l = {side} and k = {size}"
    return Statement(key, TOPIC, text, ARTICLE, printed, many / few, judge(printed, many / few, 2))


def weight_ratio_32(effort: Effort) -> Statement:
    return _ratio("weight-ratio-32", 32, 11, 8_600, of_work=False)


def weight_ratio_224(effort: Effort) -> Statement:
    return _ratio("weight-ratio-224", 224, 3, 270_000_000, of_work=False)


def work_ratio_32(effort: Effort) -> Statement:
    return _ratio("work-ratio-32", 32, 11, 8.5, of_work=True)


def work_ratio_224(effort: Effort) -> Statement:
    return _ratio("work-ratio-224", 224, 3, 5_500, of_work=True)


def matrix_of(layer: nn.Conv2d, side: int) -> torch.Tensor:
    """The matrix (outputs, inputs) that does to flattened images what the convolution does: its columns are the outputs for the
    images that have a single one.
    """
    length = layer.in_channels * side * side
    units = torch.eye(length).reshape(length, layer.in_channels, side, side)
    with torch.no_grad():
        return layer(units).flatten(1).T.contiguous()


def dense_carries_convolution(effort: Effort) -> Statement:
    layer = filled(convolution(2, 2, 3))
    matrix, images = matrix_of(layer, 8), noise(4, 2, 8, 8)
    with torch.no_grad():
        apart = difference(layer(images), (images.flatten(1) @ matrix.T).reshape(4, 2, 8, 8))
    zeros, values = int((matrix == 0).sum()), len(matrix[matrix != 0].unique())
    note = (
        f"Outputs differ by {apart:.1g} of the greatest. Of the matrix's {matrix.numel():,} entries {zeros / matrix.numel():.1%} are "
        f"zero; the others share {values} values, the convolution's {weights(layer)} weights. Image 8x8, two channels."
    )
    text = "A fully connected layer with zeros and shared weights does what a 3x3 convolution does"
    return Statement("dense-carries-conv", TOPIC, text, ARTICLE, "equal", equality(apart), judge_equal(apart), note)


STATEMENTS = (
    convolution_weights, dense_weights, weight_ratio_32, weight_ratio_224, work_ratio_32, work_ratio_224, dense_carries_convolution,
)  # fmt: skip
