"""CS231n's arithmetic of shapes: output sizes, shared weights, im2col, pooling, dilation."""

import torch
import torch.nn.functional as F
from torch import nn

from workflow.primer.effort import Effort
from workflow.primer.measuring import (  # fmt: skip
    convolution,
    difference,
    filled,
    meta,
    noise,
    output_shape,
    receptive_field,
    weights,
)
from workflow.primer.statement import CONDITION, NOTES, WRONG, Statement, equality, judge, judge_equal

TOPIC = "CS231n: shapes"


def output_size(width: int, size: int, *, stride: int, padding: int = 0) -> float:
    """(W - F + 2P) / S + 1, which is whole where the windows fit. ValueError for sizes and strides below 1."""
    if min(width, size, stride) < 1 or padding < 0:
        raise ValueError(
            f"W = {width}, F = {size}, S = {stride}, P = {padding}: give whole numbers, the first three from 1."
        )
    return (width - size + 2 * padding) / stride + 1


def _shape(shape: tuple[int, ...]) -> str:
    channels, rows, columns = shape
    return f"{rows}x{columns}x{channels}"


def _size(
    key: str, width: int, inner: int, outer: int, size: int, stride: int, padding: int, printed: str
) -> Statement:
    layer = convolution(inner, outer, size, stride=stride, padding=padding)
    found = _shape(output_shape(layer, inner, width))
    formula = output_size(width, size, stride=stride, padding=padding)
    filters = f"{outer} filter{'s' * (outer > 1)} of {size}x{size}"
    text = f"Output of {filters} on {width}x{width}x{inner}, stride {stride}, padding {padding}"
    note = f"(W − F + 2P)/S + 1 = {formula:g}; computed: the shape that torch's convolution gives."
    return Statement(key, TOPIC, text, NOTES, printed, found, judge(printed, found), note)


def demonstration(effort: Effort) -> Statement:
    return _size("size-demo", 5, 3, 2, 3, 2, 1, "3x3x2")


def first_of_alexnet(effort: Effort) -> Statement:
    return _size("size-227", 227, 3, 96, 11, 4, 0, "55x55x96")


def seven_by_one(effort: Effort) -> Statement:
    return _size("size-7-1", 7, 1, 1, 3, 1, 0, "5x5x1")


def seven_by_two(effort: Effort) -> Statement:
    return _size("size-7-2", 7, 1, 1, 3, 2, 0, "3x3x1")


def ten_by_two(effort: Effort) -> Statement:
    formula = output_size(10, 3, stride=2)
    found = output_shape(convolution(1, 1, 3, stride=2, padding=0), 1, 10)[1]
    note = f"The formula gives {formula:g}, and the notes call the setting invalid; torch drops the rest and gives {found} columns."
    text = "Columns of the output for W = 10, F = 3, S = 2, P = 0 (it does not fit)"
    verdict = CONDITION if formula == 4.5 and found == 4 else WRONG
    return Statement("size-10-2", TOPIC, text, NOTES, 4.5, found, verdict, note)


def not_224(effort: Effort) -> Statement:
    from torchvision.models import alexnet

    found = output_size(224, 11, stride=4)
    first = meta(alexnet).features[0]
    torchs = output_shape(first, 3, 224)[1]
    note = f"Not whole, so the paper's 224 cannot be right without padding; torchvision pads {first.padding[0]} and gets {torchs}."
    text = "Columns of the output for AlexNet's stated image of 224, F = 11, S = 4, P = 0"
    return Statement("size-224", TOPIC, text, NOTES, 54.25, found, judge(54.25, found), note)


def shared(effort: Effort) -> Statement:
    found = weights(meta(lambda: nn.Conv2d(3, 96, 11, 4)))
    text = "Parameters of AlexNet's first layer with shared weights: 34,848 weights and 96 biases"
    return Statement("shared", TOPIC, text, NOTES, 34_944, found, judge(34_944, found))


def not_shared(effort: Effort) -> Statement:
    layer = meta(lambda: nn.Conv2d(3, 96, 11, 4))
    _, rows, columns = output_shape(layer, 3, 227)
    found = rows * columns * weights(layer)
    text = "Parameters of the same layer if its 55x55x96 neurons shared nothing"
    return Statement("not-shared", TOPIC, text, NOTES, 105_705_600, found, judge(105_705_600, found))


def im2col(effort: Effort) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Columns (363, 3025) of an image of 227x227, filters (96, 363), and how far their product is from torch's convolution."""
    layer, image = filled(convolution(3, 96, 11, stride=4, padding=0)), noise(1, 3, 227, 227)
    with torch.no_grad():
        columns, rows = F.unfold(image, 11, stride=4)[0], layer.weight.flatten(1)
        return columns, rows, difference(layer(image).flatten(2)[0], rows @ columns)


def im2col_shapes(effort: Effort) -> Statement:
    columns, rows, _ = im2col(effort)
    found = " times ".join("x".join(map(str, matrix.shape)) for matrix in (rows, columns))
    printed = "96x363 times 363x3025"
    text = "Matrices that AlexNet's first convolution becomes (im2col)"
    return Statement("im2col-shapes", TOPIC, text, NOTES, printed, found, judge(printed, found))


def im2col_product(effort: Effort) -> Statement:
    *_, apart = im2col(effort)
    note = f"They differ by {apart:.1g} of the greatest output, in float32."
    text = "The product of those matrices is the convolution's output"
    return Statement("im2col", TOPIC, text, NOTES, "equal", equality(apart), judge_equal(apart), note)


def pooling_size(effort: Effort) -> Statement:
    found, printed = _shape(output_shape(nn.MaxPool2d(2), 64, 224)), "112x112x64"
    text = "Output of 2x2 pooling with stride 2 on 224x224x64"
    return Statement("pooling", TOPIC, text, NOTES, printed, found, judge(printed, found))


def pooling_discards(effort: Effort) -> Statement:
    kept = torch.Size(output_shape(nn.MaxPool2d(2), 64, 224)).numel() / (64 * 224 * 224)
    text = "Share of the activations that 2x2 pooling with stride 2 discards, percent"
    return Statement("pooling-discards", TOPIC, text, NOTES, 75, 100 * (1 - kept), judge(75, 100 * (1 - kept)))


def overlapping_pooling(effort: Effort) -> Statement:
    formula, found = output_size(55, 3, stride=2), output_shape(nn.MaxPool2d(3, 2), 96, 55)[1]
    text = "Columns after overlapping pooling, F = 3 and S = 2, of AlexNet's 55"
    note = f"(W − F)/S + 1 = {formula:g}."
    return Statement("pooling-overlap", TOPIC, text, NOTES, 27, found, judge(27, found), note)


def dilation(effort: Effort) -> Statement:
    found = receptive_field(convolution(1, 1, 3, dilation=2))
    two = receptive_field(convolution(1, 1, 3), convolution(1, 1, 3, dilation=2))
    note = (
        f"Measured by gradients, as torch's dilation 2 (the notes count gaps: 1). After a plain 3x3 it sees {two} pixels, "
        f"two plain 3x3 see {receptive_field(convolution(1, 1, 3), convolution(1, 1, 3))}."
    )
    text = "Receptive field of one 3x3 with a gap of one pixel, in pixels a side"
    return Statement("dilation", TOPIC, text, NOTES, 5, found, judge(5, found), note)


STATEMENTS = (
    demonstration, first_of_alexnet, seven_by_one, seven_by_two, ten_by_two, not_224, shared, not_shared, im2col_shapes,
    im2col_product, pooling_size, pooling_discards, overlapping_pooling, dilation,
)  # fmt: skip
