"""Seconds per epoch of several rows: the device that they share, and their ratio. Seconds of two devices are never compared."""

import math
from collections import Counter
from collections.abc import Iterable

from workflow.report.claims import protocols
from workflow.report.rows import Row
from workflow.report.stats import Interval, sample
from workflow.support.known import known


def device_shared(rows: Iterable[Row]) -> str | None:
    """The device on which all rows were timed, that of the first row's best timing if possible; None where there is none."""
    rows = list(rows)
    names = [[protocols.device_of(timing.record) for timing in row.timings] for row in rows]
    return next(
        (name for name in (names[0] if names else ()) if name and all(name in others for others in names)), None
    )


def device_of_most(rows: Iterable[Row]) -> str | None:
    """The device on which most of the rows were timed, the nearer of equals."""
    devices = (dict.fromkeys(protocols.device_of(timing.record) for timing in row.timings) for row in rows)
    return next((name for name, _ in Counter(name for found in devices for name in found).most_common(1)), None)


def seconds_by_round(rows: Iterable[Row], device: str | None) -> list[list[float]] | None:
    """Each row's seconds per epoch, round by round, on a device; None where they were not timed in as many rounds, two or more.

    A host's speed drifts from round to round by more than the slices of one show, and it drifts for all rows alike.
    """
    found = []
    for row in rows:
        timing = row.timed_on(device)
        found.append(protocols.by_round(row.run.to_json(), timing) if timing and row.run else [])
    return found if len({len(rounds) for rounds in found}) == 1 and len(found[0]) > 1 else None


def seconds_ratio(one: Row, other: Row, device: str | None) -> Interval | None:
    """Seconds of one row over another's on a device: by round, the geometric mean of the rounds' ratios with its 95 % interval (of
    Student, over their logarithms); else of the medians, with the range that the slices of both allow."""
    if by_round := seconds_by_round((one, other), device):
        logs = known(sample(math.log(a / b) for a, b in zip(*by_round, strict=True))).estimate
        return Interval(*(math.exp(end) for end in (logs.value, logs.low, logs.high)))
    a, b = (row.clock_of(row.timed_on(device)) for row in (one, other))
    return a.over(b) if a and b else None
