"""The second file: every run, one line each, with its record's address, and the machines and software behind them."""

import os
from pathlib import Path

from workflow.protocol.runs import Run
from workflow.records.state import RunState
from workflow.report import badges, text
from workflow.report.claims import protocols
from workflow.report.results import Evidence, place_of
from workflow.report.tables import sparklines
from workflow.support.durations import rounded


def anchor(run_id: str, place: str) -> str:
    """The id of a run's line."""
    return "-".join(filter(None, ["run", place, *run_id.split("/")]))


def arithmetic(run: Run) -> str:
    """What a run computes in: its precision, and what else changes a number's last digits."""
    further = {"compiled": run.compile, "deterministic": run.deterministic}
    return ", ".join([run.precision, *(word for word, chosen in further.items() if chosen)])


def _link(path: Path, out: Path) -> str | None:
    """A relative address from the page to a file that is there."""
    return Path(os.path.relpath(path, out)).as_posix() if path.exists() else None


def _line(state: RunState, out: Path, log: Path | None, *, made_up: bool) -> dict:
    from markupsafe import Markup

    history, run = state.history, state.run
    result = None if made_up else state.result
    curve = [entry["accuracy"] for entry in history if entry["stage"] == "train" and entry.get("accuracy") is not None]
    sizes, place = state.sizes, place_of(state.folder) or ""
    dilated = f"; dilated by {' '.join(map(str, state.dilations))}" if state.dilations else ""
    if sizes and not run.search and len({str(size) for size in sizes}) == 1:
        sizes = []
    seconds = sum(entry.get("seconds", 0) + (entry.get("evaluation_seconds") or 0) for entry in history)
    record = state.result or state.search
    protocol = "made up" if made_up else badges.protocol_words(run, protocols.protocol_of(run.to_json()))
    return {
        "id": anchor(run.id, place), "state": state, "run": run, "result": result, "place": place,
        "spark": Markup("" if made_up else sparklines.spark(curve)), "sizes": " ".join(map(text.size, sizes)) + dilated,
        "protocol": protocol, "arithmetic": arithmetic(run),
        "device": badges.device_word(protocols.device_of(record)) if record else "",
        "seconds": seconds or None, "took": rounded(seconds) if seconds else text.NONE,
        "files": {name: _link(state.folder / file, out) for name, file in (("record", "result.json"), ("search", "search.json"),
                  ("history", "history.jsonl"))} | ({"log": _link(log, out)} if log else {}),
    }  # fmt: skip


def lines(evidence: Evidence, out: Path) -> list[dict]:
    """The planned runs here, then what was found elsewhere."""
    jobs = {member: job for job, members in evidence.plan.jobs.get("train", {}).items() for member in members}
    logs = evidence.results / "logs" / "train"
    here = [
        _line(state, out, logs / f"{jobs.get(state.run.id, state.run.id)}.log", made_up=not evidence.real_data)
        for state in evidence.states
        if evidence.results.name != "recorded"
    ]
    return here + [_line(state, out, None, made_up=False) for state in evidence.found]
