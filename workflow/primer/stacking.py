"""Small kernels stacked in place of a large one: receptive field, weights, work and time."""

from torch import nn

from workflow.primer.effort import Effort
from workflow.primer.measuring import convolution, filled, noise, receptive_field, seconds, weights, work
from workflow.primer.statement import ANSWERS, ARTICLE, CONDITION, MACHINE, NOTES, WRONG, Statement, judge

TOPIC = "Stacked 3x3 for 5x5 and 7x7"


def stack(size: int, count: int, channels: int = 1) -> nn.Sequential:
    """`count` convolutions, c -> c, without values."""
    return nn.Sequential(*(convolution(channels, channels, size) for _ in range(count)))


def _field(key: str, count: int, size: int) -> Statement:
    found, single = receptive_field(stack(3, count)), receptive_field(stack(size, 1))
    text = f"Receptive field of {'two' if count == 2 else 'three'} stacked 3x3, in pixels a side"
    note = f"Measured: the rows of the image that a gradient reaches; a single {size}x{size} reaches {single}."
    return Statement(key, TOPIC, text, NOTES, size, found, judge(size, found), note)


def field_of_two(effort: Effort) -> Statement:
    return _field("field-two", 2, 5)


def field_of_three(effort: Effort) -> Statement:
    return _field("field-three", 3, 7)


def weights_of_two(effort: Effort) -> Statement:
    found = weights(stack(5, 1, 64)) / weights(stack(3, 2, 64))
    text = "How many times the weights of two 3x3 a 5x5 has, 25/18"
    return Statement("weights-two", TOPIC, text, ARTICLE, 1.39, found, judge(1.39, found, 3), "Counted at 64 channels.")


def weights_of_three(effort: Effort) -> Statement:
    single, three = (weights(stack(size, count, 64)) // 64**2 for size, count in ((7, 1), (3, 3)))
    found, printed = f"{single}C² against {three}C²", "49C² against 27C²"
    text = "Weights of a 7x7 against three 3x3, C channels"
    note = "Counted at C = 64 and divided by C²; biases left out, as in the notes."
    return Statement("weights-three", TOPIC, text, NOTES, printed, found, judge(printed, found), note)


def five_against_three(effort: Effort) -> Statement:
    found = work(stack(5, 1, 64), 64, 16) / work(stack(3, 1, 64), 64, 16)
    text = "How many times the work of a 3x3 a 5x5 is, 25/9"
    return Statement("five-three", TOPIC, text, ANSWERS, 2.78, found, judge(2.78, found, 3))


def useful_products(side: int, size: int) -> int:
    """Products of a padded size x size convolution on a side x side image that are not with a zero of the padding."""
    reach = size // 2
    line = sum(min(side, place + reach + 1) - max(0, place - reach) for place in range(side))
    return line * line


def operations_on_five(effort: Effort) -> Statement:
    single, double = work(stack(5, 1), 1, 5), work(stack(3, 2), 1, 5)
    found, printed = f"{single} against {double}", "625 against 450"
    inside = useful_products(5, 5), 2 * useful_products(5, 3)
    note = (
        f"Products with the padding's zeros are counted; without them it is {inside[0]} against {inside[1]}, "
        f"{inside[0] / inside[1]:.2f} times instead of {single / double:.2f}."
    )
    text = "Multiplications on a padded 5x5 image: one 5x5 (25·25) against two 3x3 (25·9 + 25·9)"
    return Statement("operations-five", TOPIC, text, ANSWERS, printed, found, judge(printed, found), note)


def two_that_widen(effort: Effort) -> Statement:
    (single, double), (first, pair) = (
        (weights(convolution(i, o, 5)), weights(convolution(i, o, 3), convolution(o, o, 3)))
        for i, o in ((32, 64), (3, 32))
    )
    note = (
        f"From 32 to 64 channels a 5x5 has {single:,} weights, two 3x3 {double:,}; from 3 to 32 it is {first:,} against {pair:,}. "
        "25/18 needs as many channels in as out."
    )
    text = "How many times the weights of two 3x3 a 5x5 has, where a layer widens from 32 to 64 channels"
    verdict = CONDITION if single < double else WRONG
    return Statement("weights-widening", TOPIC, text, ARTICLE, 1.39, single / double, verdict, note)


def _times(
    key: str, text: str, source: str, promised: float, many: nn.Module, few: nn.Module, effort: Effort
) -> Statement:
    """The ratio of two networks' times beside the ratio that the arithmetic promises."""
    images = noise(1, effort.channels, effort.image, effort.image)
    slow, fast = (filled(network) for network in (many, few))
    taken = seconds([lambda: slow(images), lambda: fast(images)], effort)
    note = (
        f"{1e3 * taken[0]:.3g} ms against {1e3 * taken[1]:.3g} ms: one image of {effort.image}x{effort.image} with "
        f"{effort.channels} channels, forward, one thread, float32; medians of {effort.rounds} rounds in turn."
    )
    return Statement(key, TOPIC, text, source, promised, taken[0] / taken[1], MACHINE, note)


def time_of_two(effort: Effort) -> Statement:
    many, few = stack(5, 1, effort.channels), stack(3, 2, effort.channels)
    text = "How many times the time of two 3x3 a 5x5 takes (printed: what arithmetic promises)"
    return _times("time-two", text, ARTICLE, 1.39, many, few, effort)


def time_of_five(effort: Effort) -> Statement:
    many, few = stack(5, 1, effort.channels), stack(3, 1, effort.channels)
    text = "How many times the time of a 3x3 a 5x5 takes (printed: what arithmetic promises)"
    return _times("time-five", text, ANSWERS, 2.78, many, few, effort)


STATEMENTS = (
    field_of_two, field_of_three, weights_of_two, weights_of_three, five_against_three, operations_on_five, two_that_widen,
    time_of_two, time_of_five,
)  # fmt: skip
