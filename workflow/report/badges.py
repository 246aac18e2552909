"""What stands beside a number: by which protocol it was made, on which device, with how many seeds, and where its record lies."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from workflow.protocol.runs import Run
from workflow.report import text
from workflow.report.claims import protocols
from workflow.report.groups import Group
from workflow.report.results import Timing
from workflow.support.known import known

CAPS = {protocols.PAPER: "◼", protocols.SHORT: "◧", protocols.OTHER: "◻"}
CHIPS = re.compile(r"\b(?:RTX \d{4}(?: Ti)?|G[BH]\d{3}|[ABHLTV]\d{1,3}[A-Z]?|M\d)\b|EPYC|Xeon|Ryzen|Core")


@dataclass(frozen=True)
class Badge:
    """`cap`: paper, short or other; `run`: the id of a run behind it, for a link; `place`: recorded folder, "" for here."""

    cap: str
    words: str
    run: str | None
    place: str
    marks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " · ".join([f"{CAPS[self.cap]} {self.words}", *self.marks])


def device_word(name: str | None) -> str:
    """A device's name as short as people say it: H100, EPYC; at most three words of any other."""
    if not name:
        return "unknown device"
    found = CHIPS.search(name.replace("(R)", "").replace("(TM)", ""))
    return found[0] if found else " ".join(name.split()[:3])


def protocol_words(run: Run, protocol: str) -> str:
    """The protocol of a training: its name, or epochs and images where it has none; and what else differs from the usual."""
    train = run.train
    words = {protocols.PAPER: "paper", protocols.SHORT: f"short {train.epochs} ep"}.get(protocol, f"{train.epochs} ep")
    further = [
        f"{train.images // 1000}k images" if train.images else "",
        run.precision if run.precision != "fp32" else "",
    ]
    further += ["compiled" if run.compile else ""]
    if protocol == protocols.OTHER and run.search and not protocols.paper_search(run.to_json()):
        further.append(f"search {run.search.epochs} ep")
    return ", ".join([words, *filter(None, further)])


def devices_words(devices: Mapping[str, int]) -> tuple[str, str]:
    """Device and seeds: (`H100`, `3 seeds`), or with several devices (`3 H100 + 2 EPYC`, `5 seeds`)."""
    counts: Counter[str] = Counter()
    for name, count in devices.items():
        counts[device_word(name)] += count
    total = sum(counts.values())
    where = next(iter(counts)) if len(counts) == 1 else " + ".join(f"{n} {name}" for name, n in counts.items())
    return where, text.counted(total, "seed")


def _marks(records: list[dict], stale: bool) -> tuple[str, ...]:
    """Doubts: made by earlier code; on a GPU, not captured as a graph."""
    found = ["earlier code"] if stale else []
    if any(record.get("captured") is False and record.get("uncaptured_reason") for record in records):
        found.append("uncaptured")
    return tuple(found)


def of_group(group: Group) -> Badge:
    """The badge of a row's accuracy."""
    where, seeds = devices_words(group.devices)
    words = f"{protocol_words(group.run, group.protocol)} · {where} · {seeds}"
    place = ", ".join(filter(None, group.places))
    return Badge(
        group.protocol, words, group.run.id, place, _marks([known(s.result) for s in group.states], bool(group.stale))
    )


def of_timing(timing: Timing) -> Badge:
    """The badge of a row's seconds per epoch."""
    record = timing.record
    place = timing.place.name if timing.place.parent.name == "recorded" else ""
    # Both clocks of a GPU include what other processes do there.
    disturbed = ("not alone",) if record.get("clocks_agree") is False or record.get("foreign_gpu_processes") else ()
    device = device_word(protocols.device_of(record))
    return Badge(protocols.PAPER, f"timed · {device}", None, place, (*_marks([record], timing.stale), *disturbed))
