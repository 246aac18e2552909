"""A fully connected layer as a convolution, and a network that slides over a larger image in one pass.

The notes say that one pass over 384x384 equals 36 separate evaluations of 224x224, 32 pixels apart. That is so where no convolution
pads: a crop's border is padded with zeros, where the whole image has pixels. Both kinds of network are compared here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workflow.primer.effort import Effort
from workflow.primer.measuring import difference, filled, meta, noise, output_shape, seconds, weights, work
from workflow.primer.statement import MACHINE, NOTES, Statement, equality, judge, judge_equal

TOPIC = "CS231n: fully connected layers as convolutions"
CROP, WHOLE, STEP = 224, 384, 32  # five halvings make 32 pixels one step of the last map


def fully_connected(effort: Effort) -> Statement:
    """A layer from 7x7x512 to 4096 in both forms; the small effort compares the first outputs only."""
    matrix = noise(effort.outputs, 7 * 7 * 512) / 160
    image = noise(1, 512, 7, 7)
    apart = difference(
        F.linear(image.flatten(1), matrix), F.conv2d(image, matrix.view(effort.outputs, 512, 7, 7)).flatten(1)
    )
    count = weights(meta(lambda: nn.Conv2d(512, 4096, 7, bias=False)))
    note = (
        f"Both have {count:,} weights; {effort.outputs:,} of 4,096 outputs compared, {apart:.1g} of the greatest apart."
    )
    text = "A fully connected layer 7x7x512 → 4096 is a convolution with F = 7"
    return Statement("fc-as-conv", TOPIC, text, NOTES, "equal", equality(apart), judge_equal(apart), note)


def vgg_over_384(effort: Effort) -> Statement:
    from torchvision.models import vgg16

    last = meta(lambda: nn.Sequential(nn.Conv2d(512, 4096, 7), nn.Conv2d(4096, 4096, 1), nn.Conv2d(4096, 1000, 1)))
    features = meta(vgg16).features
    before = output_shape(features, 3, WHOLE)
    found = "x".join(map(str, (*output_shape(nn.Sequential(features, last), 3, WHOLE)[1:], 1000)))
    text = "Scores of VGG-16 with convolutions for its last layers, over 384x384"
    note = f"Shapes of torchvision's network: {before[1]}x{before[2]}x{before[0]} before the first of them, (12 − 7)/1 + 1 = 6."
    return Statement("sliding-shape", TOPIC, text, NOTES, "6x6x1000", found, judge("6x6x1000", found), note)


def small_network(*, padded: bool) -> nn.Sequential:
    """Five halvings, then 7x7 to ten scores. `padded`: by padded 3x3 and pooling (as VGG), else by 2x2 with stride 2."""
    widths = (3, 8, 16, 16, 32, 32)

    def build() -> nn.Sequential:
        layers: list[nn.Module] = []
        for inner, outer in zip(widths, widths[1:], strict=False):
            if padded:
                layers += [nn.Conv2d(inner, outer, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            else:
                layers += [nn.Conv2d(inner, outer, 2, stride=2), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(widths[-1], 10, 7))

    return filled(meta(build))


def crops(image: Tensor) -> Tensor:
    """The 36 crops of 224x224 that lie 32 pixels apart in an image of 384x384, row by row: (36, 3, 224, 224)."""
    starts = range(0, WHOLE - CROP + 1, STEP)
    return torch.cat([image[:, :, y : y + CROP, x : x + CROP] for y in starts for x in starts])


def compared(*, padded: bool) -> tuple[float, int]:
    """How far the scores of one pass are from those of the separate evaluations, and how many evaluations there are."""
    network, image = small_network(padded=padded), noise(1, 3, WHOLE, WHOLE)
    with torch.no_grad():
        separate = torch.cat([network(crop[None]) for crop in crops(image)])  # (36, 10, 1, 1)
        once = network(image)[0].flatten(1).T  # (36, 10)
    return difference(separate.flatten(1), once), len(separate)


def without_padding(effort: Effort) -> Statement:
    apart, count = compared(padded=False)
    text = f"One pass over 384x384 equals {count} separate evaluations: a network that does not pad"
    note = f"Scores differ by {apart:.1g} of the greatest."
    return Statement("sliding", TOPIC, text, NOTES, "equal", equality(apart), judge_equal(apart), note)


def with_padding(effort: Effort) -> Statement:
    apart, count = compared(padded=True)
    text = f"One pass over 384x384 equals {count} separate evaluations: a network whose 3x3 pad, as VGG's do"
    note = (
        f"Scores differ by {apart:.2g} of the greatest: a crop's border sees zeros where the whole image has pixels. The sizes agree, "
        "the values do not."
    )
    return Statement("sliding-padded", TOPIC, text, NOTES, "equal", equality(apart), judge_equal(apart), note)


def time_saved(effort: Effort) -> Statement:
    network, image = small_network(padded=False), noise(1, 3, WHOLE, WHOLE)
    apart = [crop[None] for crop in crops(image)]
    promised = len(apart) * work(network, 3, CROP) / work(network, 3, WHOLE)
    many, once = seconds([lambda: [network(crop) for crop in apart], lambda: network(image)], effort)
    note = (
        f"{1e3 * many:.3g} ms against {1e3 * once:.3g} ms; multiply-accumulates promise {promised:.3g} times. One thread, float32; "
        f"medians of {effort.rounds} rounds in turn."
    )
    text = "How many times the time of one pass the 36 evaluations take (the notes say only: more)"
    return Statement("sliding-time", TOPIC, text, NOTES, "more", many / once, MACHINE, note)


STATEMENTS = (fully_connected, vgg_over_384, without_padding, with_padding, time_saved)
