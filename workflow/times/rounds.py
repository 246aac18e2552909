"""A row's seconds from several rounds, spread over the hour: a host's speed drifts by more than the slices of one minute show."""

import statistics
from collections.abc import Mapping

from workflow.protocol.runs import Run
from workflow.report.claims.protocols import mean_of


def _segment(old: Mapping, new: Mapping) -> dict:
    """One segment of both: the median of the rounds' medians, the least and the greatest slice."""
    rounds = [*old.get("rounds", [old["seconds_per_epoch"]]), new["seconds_per_epoch"]]
    median, images = statistics.median(rounds), new["seconds_per_epoch"] * new["images_per_second"]
    return {
        **new, "rounds": rounds, "seconds_per_epoch": median, "images_per_second": images / median,
        "low": min(old["low"], new["low"]), "high": max(old["high"], new["high"]), "slices": old["slices"] + new["slices"],
    }  # fmt: skip


def pooled(run: Run, old: Mapping, new: Mapping) -> dict:
    """A row's record with one more round; both have the same segments. What is no time is the newer one's."""
    segments, faster = (
        [_segment(*pair) for pair in zip(old[name], new[name], strict=True)] for name in ("segments", "faster_segments")
    )
    search, train = mean_of(segments, "search"), mean_of(segments, "train")
    epochs = run.search.epochs if run.search else 0, run.train.epochs
    return {
        **new, "segments": segments, "faster_segments": faster, "search_seconds": search, "train_seconds": train,
        "faster_seconds": mean_of(faster, "train"),
        "seconds_per_epoch": (epochs[0] * (search or 0.0) + epochs[1] * (train or 0.0)) / sum(epochs),
        "foreign_load": max(old["foreign_load"], new["foreign_load"]),
        "provenance": {**new["provenance"], "started": old["provenance"]["started"]},
    }  # fmt: skip
