"""How long a job may run: what it was told, what the plan says, and what the cluster will cut off, whichever comes first."""

import os
import time
from collections.abc import Mapping

MARGIN = 120.0  # seconds before a scheduler's own end at which a job stops by itself
SITTING = 60, 1440  # minutes that a cluster is asked for at a time: at least, and at most


def minutes_to_ask(seconds: float) -> int:
    """Minutes to ask a cluster for, for a job that is estimated to take so many seconds: half as much again, in sittings of a day."""
    return int(min(max(1.5 * seconds / 60, SITTING[0]), SITTING[1]))


def seconds(minutes: float | None, planned: float | None, environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds from now after which a job stops cleanly; None: never.

    minutes: the command line's; planned: the plan's `time_limit`, minutes, which the command line's replaces. In a Slurm job, whose
    end stands in SLURM_JOB_END_TIME, it is never later than MARGIN before that (or halfway there, where that is sooner).
    """
    asked = minutes if minutes is not None else planned
    limits = [] if asked is None else [60 * asked]
    end = environment.get("SLURM_JOB_END_TIME", "")
    if end.isdigit():
        left = int(end) - time.time()
        limits.append(max(0.0, left - MARGIN, left / 2))
    return min(limits, default=None)
