"""A chapter that asks questions: an answer each, the table of its rows with what they cost, and up to four figures."""

import math
from statistics import fmean
from typing import Any

from workflow.report import badges
from workflow.report.chapters import answers, question_figures
from workflow.report.chapters.central import CHAPTER
from workflow.report.claims import protocols
from workflow.report.csv_files import summary_line
from workflow.report.figures.style import Picture
from workflow.report.results import Evidence
from workflow.report.rows import Row, rows_by_id, rows_in
from workflow.support.known import known


def _answers(name: str, evidence: Evidence) -> list[answers.Answer]:
    entry = evidence.plan.tables[name]
    return answers.answers(entry.questions, rows_by_id(evidence, entry.dataset))


def spent(row: Row) -> dict[str, float | None]:
    """Training seconds of one run as they went by: {"search", "total"}; search is charged to the row. Mean over the finished seeds of
    the device that has most of them, since seconds of two are no mean; None where none was searched and trained on one.

    The clock of the runs themselves, which may have shared the machine; seconds per epoch are those of the timing stage.
    """
    by_device: dict[str | None, list[tuple[float, float]]] = {}
    for state in row.done:
        stages = [record for record in (state.search, known(state.result)) if record]
        if len(devices := {protocols.device_of(record) for record in stages}) == 1:
            seconds = [math.fsum(record["seconds_per_epoch"]) for record in stages]
            by_device.setdefault(devices.pop(), []).append((sum(seconds[:-1]), sum(seconds)))
    if not by_device:
        return {"search": None, "total": None}
    searches, totals = zip(*max(by_device.values(), key=len), strict=True)
    return {"search": fmean(searches), "total": fmean(totals)}


def lines(name: str, evidence: Evidence) -> list[dict]:
    """The chapter's CSV: its rows as in summary.csv with the seconds spent, then its answers."""
    blank = dict.fromkeys(
        (
            "question", "verdict", "protocol", "way", "paired", "difference", "low", "high", "p", "p_holm", "verdict_holm", "smallest",
            "beside", "beside_low", "beside_high", "compared", "asked", "runs", "share_below",
        )
    )  # fmt: skip
    found = []
    for row in rows_in(evidence, name):
        cost = spent(row)
        found.append({**summary_line(row), "spent_search": cost["search"], "spent_total": cost["total"], **blank})
    keys = list(found[0]) if found else []
    for answer in _answers(name, evidence):
        gap, beside = answer.difference, answer.beside
        (low, high), (other_low, other_high) = (found.ends if found else (None, None) for found in (gap, beside))
        found.append({
            **dict.fromkeys(keys), "row": f"answer: {answer.id}", "question": answer.asks, "verdict": answer.verdict,
            "protocol": answer.protocol, "way": answer.way, "paired": answer.paired, "difference": gap and gap.value,
            "low": low, "high": high, "p": answer.p,
            "p_holm": answer.adjusted, "verdict_holm": answer.holm, "smallest": answer.smallest,
            "beside": beside and beside.value, "beside_low": other_low, "beside_high": other_high,
            "compared": answer.compared, "asked": answer.asked, "runs": answer.runs,
            "share_below": answer.below and answer.below[0],
        })  # fmt: skip
    return found


def lines_of_rows(rows: list[Row]) -> list[tuple]:
    """Each row with the seconds spent on it and its badge."""
    return [(row, spent(row), badges.of_group(row.best) if row.best else None) for row in rows]


def context(name: str, evidence: Evidence) -> dict[str, Any]:
    """What the template shows."""
    entry, given = evidence.plan.tables[name], _answers(name, evidence)
    figures: list[Picture] = []
    if name != CHAPTER:  # which has a figure of its own
        figures = list(question_figures.drawings(name, entry, rows_by_id(evidence, entry.dataset), given))
    return {
        "answers": given, "rows": lines_of_rows(rows_in(evidence, name)), "verdicts": question_figures.CLASSES,
        "figures": figures,
    }  # fmt: skip
