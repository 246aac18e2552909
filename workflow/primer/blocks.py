"""Blocks that save weights: the bottleneck, grouped convolutions, and convolutions separable in depth and in space."""

from torch import nn

from workflow.primer.effort import Effort
from workflow.primer.measuring import convolution, filled, noise, receptive_field, seconds, weights
from workflow.primer.statement import ARTICLE, MACHINE, Statement, judge, judge_limit

TOPIC = "Blocks that save weights"
CHANNELS = 256
GROWING = (256, 1024, 4096)  # channels at which a ratio that only holds for many is counted


def bottleneck(outer: int, inner: int) -> nn.Sequential:
    """1x1, 3x3, 1x1 with `inner` channels in between."""
    return nn.Sequential(convolution(outer, inner, 1), convolution(inner, inner, 3), convolution(inner, outer, 1))


def separable(channels: int, size: int) -> nn.Sequential:
    """Depthwise size x size, then pointwise."""
    return nn.Sequential(convolution(channels, channels, size, groups=channels), convolution(channels, channels, 1))


def bottleneck_weights(effort: Effort) -> Statement:
    found = weights(bottleneck(CHANNELS, 32))
    text = "Weights of a bottleneck 1x1, 3x3, 1x1 with 256, 32, 32, 256 channels"
    return Statement("bottleneck", TOPIC, text, ARTICLE, 25_600, found, judge(25_600, found))


def plain_weights(effort: Effort) -> Statement:
    found, block = weights(convolution(CHANNELS, CHANNELS, 3)), weights(bottleneck(CHANNELS, 32))
    note = (
        f"65,536 is 256², a 1x1's count: the kernel's nine positions are left out. The bottleneck saves {found / block:.3g} times, "
        f"not {65_536 / block:.3g} times."
    )
    text = "Weights of a plain 3x3 convolution at 256 channels"
    return Statement("plain-256", TOPIC, text, ARTICLE, 65_536, found, judge(65_536, found), note)


def grouped_weights(effort: Effort) -> Statement:
    groups, whole = weights(convolution(512, 512, 3, groups=2)), weights(convolution(512, 512, 3))
    note = f"2k²256² = {groups:,} against k²512² = {whole:,}, counted for k = 3."
    text = "How many times fewer weights two groups have at 512 channels"
    return Statement("grouped", TOPIC, text, ARTICLE, 2, whole / groups, judge(2, whole / groups), note)


def separable_weights(effort: Effort) -> Statement:
    printed, found = CHANNELS * 9 + CHANNELS**2, weights(separable(CHANNELS, 3))
    text = "Weights of a depthwise separable 3x3, ck² + c², at 256 channels"
    return Statement("separable", TOPIC, text, ARTICLE, printed, found, judge(printed, found))


def _lighter(size: int, printed: int) -> Statement:
    ratios = [weights(convolution(c, c, size)) / weights(separable(c, size)) for c in GROWING]
    by_width = ", ".join(f"{ratio:.3g} at {c}" for c, ratio in zip(GROWING, ratios, strict=True))
    note = f"k²c / (k² + c): {by_width} channels; {size * size} is the limit for many channels."
    text = f"How many times lighter a separable {size}x{size} is, at 256 channels"
    verdict = judge_limit(printed, ratios)
    return Statement(f"separable-{size}", TOPIC, text, ARTICLE, printed, ratios[0], verdict, note)


def separable_three(effort: Effort) -> Statement:
    return _lighter(3, 9)


def separable_five(effort: Effort) -> Statement:
    return _lighter(5, 25)


def separable_in_space(effort: Effort) -> Statement:
    pair = (convolution(1, 1, (3, 1)), convolution(1, 1, (1, 3)))
    found, printed = f"{weights(*pair)} against {weights(convolution(1, 1, 3))}", "6 against 9"
    note = f"Both see {receptive_field(*pair)} pixels a side; only kernels of rank one can be split so."
    text = "Weights of a 3x1 and a 1x3 against a 3x3, one channel"
    return Statement("separable-space", TOPIC, text, ARTICLE, printed, found, judge(printed, found), note)


def separable_time(effort: Effort) -> Statement:
    channels = effort.channels
    whole, split = filled(convolution(channels, channels, 3)), filled(separable(channels, 3))
    promised = weights(whole) / weights(split)
    images = noise(1, channels, effort.image, effort.image)
    slow, fast = seconds([lambda: whole(images), lambda: split(images)], effort)
    note = (
        f"{1e3 * slow:.3g} ms against {1e3 * fast:.3g} ms at {channels} channels on {effort.image}x{effort.image}, forward, "
        f"one thread, float32; medians of {effort.rounds} rounds in turn."
    )
    text = "How many times the time of a separable 3x3 an ordinary one takes (printed: what arithmetic promises)"
    return Statement("separable-time", TOPIC, text, ARTICLE, promised, slow / fast, MACHINE, note)


STATEMENTS = (
    bottleneck_weights, plain_weights, grouped_weights, separable_weights, separable_three, separable_five, separable_in_space,
    separable_time,
)  # fmt: skip
