"""Every statement of the primer against a number derived here by hand, and the rules that make verdicts."""

import math

import pytest
import torch

from workflow.primer import blocks, costs, measuring, parameters, shapes, sliding, stacking, stage, statement, vgg
from workflow.primer.effort import SMALL
from workflow.primer.statement import (  # fmt: skip
    CONDITION,
    CUT,
    LIMIT,
    MACHINE,
    RIGHT,
    ROUNDED,
    UNCHECKED,
    WRONG,
    Statement,
    judge,
    judge_limit,
    shown,
)

# Key -> computed value and verdict, derived by hand; times are left to the machine.
BY_HAND = {
    "conv-weights": (3 * 3 * 64 * 64, RIGHT),
    "dense-weights": ((8 * 8 * 4) ** 2, RIGHT),
    "weight-ratio-32": (32**4 / 121, CUT),  # 8665.9, printed 8,600
    "weight-ratio-224": (224**4 / 9, CUT),  # 279.7 million, printed 270 million
    "work-ratio-32": (1024 / 121, ROUNDED),  # 8.46
    "work-ratio-224": (50176 / 9, CUT),  # 5575
    "dense-carries-conv": ("equal", RIGHT),
    "field-two": (5, RIGHT),  # 1 + 2 + 2
    "field-three": (7, RIGHT),
    "weights-two": (25 / 18, ROUNDED),
    "weights-three": ("49C² against 27C²", RIGHT),
    "five-three": (25 / 9, ROUNDED),
    "operations-five": ("625 against 450", RIGHT),
    "weights-widening": (51200 / 55296, CONDITION),  # 25*32*64 against 9*32*64 + 9*64*64
    "bottleneck": (256 * 32 + 9 * 32 * 32 + 32 * 256, RIGHT),
    "plain-256": (9 * 256 * 256, WRONG),
    "grouped": (2, RIGHT),
    "separable": (9 * 256 + 256 * 256, RIGHT),
    "separable-3": (9 * 256 / 265, LIMIT),
    "separable-5": (25 * 256 / 281, LIMIT),
    "separable-space": ("6 against 9", RIGHT),
    "alexnet": ("11, 5, 3", RIGHT),
    "zfnet": ("none to read", UNCHECKED),
    "googlenet": ("7, 3, 1", CONDITION),
    "vgg-16": ("3", RIGHT),
    "resnet-50": ("7, 3, 1", RIGHT),
    "size-demo": ("3x3x2", RIGHT),
    "size-227": ("55x55x96", RIGHT),
    "size-7-1": ("5x5x1", RIGHT),
    "size-7-2": ("3x3x1", RIGHT),
    "size-10-2": (4, CONDITION),  # floor(3.5) + 1
    "size-224": (213 / 4 + 1, RIGHT),
    "shared": (96 * 11 * 11 * 3 + 96, RIGHT),
    "not-shared": (55 * 55 * 96 * 364, RIGHT),
    "im2col-shapes": ("96x363 times 363x3025", RIGHT),
    "im2col": ("equal", RIGHT),
    "pooling": ("112x112x64", RIGHT),
    "pooling-discards": (75, RIGHT),
    "pooling-overlap": (27, RIGHT),
    "dilation": (5, RIGHT),
    "fc-as-conv": ("equal", RIGHT),
    "sliding-shape": ("6x6x1000", RIGHT),
    "sliding": ("equal", RIGHT),
    "sliding-padded": ("not equal", WRONG),
    "vgg-table": ("22 layers equal", RIGHT),
    "vgg-parameters": (138_357_544, ROUNDED),  # torchvision's documented count
    "vgg-fc": (7 * 7 * 512 * 4096, ROUNDED),
    # Image, 2 of 64 and one of 128 and so on: convolutions 13,547,520, poolings 1,530,368 (below), 9,192 at the end, image 150,528.
    "vgg-activations": (150_528 + 13_547_520 + 1_530_368 + 9_192, WRONG),
    "vgg-memory": (4 * 15_237_608 / 2**20, WRONG),
    "vgg-where": ("so", RIGHT),
}
TIMED = {"time-two", "time-five", "separable-time", "sliding-time"}


@pytest.fixture(scope="module")
def found():
    torch.set_num_threads(1)
    return {s.key: s for s in stage.statements(SMALL, say=lambda topic: None)}


def test_every_statement_is_checked_here(found):
    assert set(found) == set(BY_HAND) | TIMED
    assert all(len(s.text) > 10 and s.source in statement.SOURCES for s in found.values())


@pytest.mark.parametrize("key", BY_HAND)
def test_a_statement_by_hand(found, key):
    value, verdict = BY_HAND[key]
    got = found[key]
    assert got.verdict == verdict, got
    assert got.computed == (value if isinstance(value, (str, int)) else pytest.approx(value, rel=1e-12))
    assert verdict == RIGHT or got.note or verdict in (CUT, ROUNDED)  # what is not simply right says why


def test_vggs_activations_by_hand():
    convolutions = 224**2 * 64 * 2 + 112**2 * 128 * 2 + 56**2 * 256 * 3 + 28**2 * 512 * 3 + 14**2 * 512 * 3
    poolings = 112**2 * 64 + 56**2 * 128 + 28**2 * 256 + 14**2 * 512 + 7**2 * 512
    assert (convolutions, poolings) == (13_547_520, 1_530_368)
    assert vgg.activations() == 224**2 * 3 + convolutions + poolings + 4096 + 4096 + 1000


@pytest.mark.parametrize("key", sorted(TIMED))
def test_times_are_positive_and_the_machines_own(found, key):
    assert found[key].verdict == MACHINE and found[key].computed > 0 and "ms against" in found[key].note


def test_what_arithmetic_promises_is_printed_beside_a_time(found):
    assert (found["time-two"].printed, found["time-five"].printed) == (1.39, 2.78)
    assert found["separable-time"].printed == pytest.approx(9 * 32 / (9 + 32))  # at the small effort's 32 channels


def test_products_inside_the_image():
    # A 3x3 on 5x5: three windows of three rows and two of two, 13 a line.
    assert (stacking.useful_products(5, 3), stacking.useful_products(5, 5)) == (13**2, 19**2)


def test_a_matrix_with_the_convolutions_weights():
    layer = measuring.filled(measuring.convolution(1, 1, 3))
    matrix = parameters.matrix_of(layer, 4)
    assert matrix.shape == (16, 16)
    # Output (1, 1) reads input (0, 0) through the kernel's first weight, and never input (3, 3).
    assert matrix[5, 0] == layer.weight[0, 0, 0, 0] and matrix[5, 15] == 0


def test_separable_equals_its_product_for_a_kernel_of_rank_one():
    column, row = torch.tensor([1.0, 2, 3]), torch.tensor([4.0, 5, 6])
    image = measuring.noise(1, 1, 8, 8)
    split = torch.conv2d(torch.conv2d(image, column.view(1, 1, 3, 1)), row.view(1, 1, 1, 3))
    whole = torch.conv2d(image, torch.outer(column, row).view(1, 1, 3, 3))
    assert measuring.difference(whole, split) < 1e-5
    assert measuring.weights(blocks.separable(4, 3)) == 4 * 9 + 16


def test_crops_are_32_pixels_apart():
    image = torch.arange(384.0).view(1, 1, 384, 1).expand(1, 3, 384, 384)
    parts = sliding.crops(image)
    assert parts.shape == (36, 3, 224, 224)
    assert [int(part[0, 0, 0]) for part in parts[::6]] == [0, 32, 64, 96, 128, 160]


def test_im2col_equals_a_sum_by_hand():
    columns, rows, apart = shapes.im2col(SMALL)
    image, kernel = measuring.noise(1, 3, 227, 227)[0], rows[0].detach().view(3, 11, 11)
    assert apart < 1e-5
    rows = rows.detach()
    assert float(rows[0] @ columns[:, 56]) == pytest.approx(float((image[:, 4:15, 4:15] * kernel).sum()), rel=1e-4)


def test_the_bridge_by_hand():
    lines = {(line["layer"], line["size"]): line for line in costs.layer_costs(SMALL)}
    assert len(lines) == 18 * 7 and all(line["milliseconds"] > 0 for line in lines.values())
    first, widening, last = lines[1, 5], lines[7, 3], lines[18, 7]
    assert (first["parameters"], first["macs"]) == (25 * 256, 25 * 256 * 1024)
    assert (widening["in_channels"], widening["out_channels"], widening["stride"], widening["side"]) == (16, 32, 2, 32)
    assert (widening["parameters"], widening["macs"]) == (9 * 512, 9 * 512 * 256)
    assert (last["parameters"], last["macs"]) == (49 * 4096, 49 * 4096 * 64)


@pytest.mark.parametrize(
    "printed, computed, digits, verdict",
    [
        (25_600, 25_600, None, RIGHT),
        (1.39, 25 / 18, 3, ROUNDED),
        (8_600, 32**4 / 121, 2, CUT),
        (8_600, 8_449, 2, WRONG),
        (2, 2.4, None, WRONG),
        (100, 104.9, 2, ROUNDED),
        (100, 105.0, 2, CUT),
        ("a", "b", None, WRONG),
        ("6", 6, None, WRONG),
    ],
)
def test_verdicts(printed, computed, digits, verdict):
    assert judge(printed, computed, digits) == verdict


def test_a_limit_has_to_be_approached_and_reached():
    assert judge_limit(9, [8.7, 8.9, 8.98]) == LIMIT
    assert judge_limit(9, [8.7, 8.6, 8.99]) == WRONG  # not steadily
    assert judge_limit(9, [7, 7.5, 8]) == WRONG  # not reached


@pytest.mark.parametrize(
    "value, text", [(8665.9, "8,666"), (138_357_544, "138,357,544"), (25 / 18, "1.389"), ("so", "so")]
)
def test_numbers_as_people_read_them(value, text):
    assert shown(value) == text


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="verdict is 'fine'"):
        Statement("a", "b", "c", "article", 1, 1, "fine")
    with pytest.raises(ValueError, match="source is 'hearsay'"):
        Statement("a", "b", "c", "hearsay", 1, 1, RIGHT)
    with pytest.raises(ValueError, match="significant digits"):
        judge(1.0, math.inf, 2)
    with pytest.raises(ValueError, match="first three from 1"):
        shapes.output_size(5, 3, stride=0)
    with pytest.raises(ValueError, match="larger side"):
        measuring.receptive_field(measuring.convolution(1, 1, 7), side=7)
    with pytest.raises(ValueError, match="cannot be compared"):
        measuring.difference(torch.ones(2), torch.ones(3))
