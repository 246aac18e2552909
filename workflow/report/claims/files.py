"""claims.csv (a line a claim) and claims.json (with its parts: what a page needs to draw them)."""

from pathlib import Path

from workflow.plan.plan import Plan
from workflow.report import text
from workflow.report.claims.claims import Claim, Part, judged
from workflow.report.claims.verdicts import Finding, finite, worst_direction
from workflow.report.csv_files import to_csv
from workflow.report.results import gather
from workflow.support.files import write_json, write_text
from workflow.support.known import known


def _words(finding: Finding) -> str:
    return text.plain(finding.measured).replace("\n", "; ")


def _numbers(finding: Finding | None) -> dict | None:
    """{value, low, high} of a finding (low and high None without bounds); None where it has no number."""
    if finding is None or finding.ours is None:
        return None
    low, high = finding.ours.ends
    return {"value": finding.ours.value, "low": low, "high": high}


def part_line(part: Part) -> dict:
    """One part of a claim for claims.json."""
    published, raised = _numbers(part.paper), _numbers(part.raised)
    if published:
        published["verdict"] = known(part.paper).verdict
    if raised:
        raised["verdict"] = known(part.raised).verdict
    short = part.short and {
        "direction": part.short.direction, "measured": _words(part.short), "ours": _numbers(part.short),
        "smallest": finite(part.short.smallest),
    }  # fmt: skip
    return {
        "rule": part.rule, "basis": part.basis, "verdict": part.finding.verdict, "measured": _words(part.finding),
        "ours": _numbers(part.finding), "p": part.finding.p, "smallest": finite(part.finding.smallest), "short": short,
        "paper_interval": published, "paper_interval_raised": raised, "seeds": part.seeds, "devices": list(part.devices),
    }  # fmt: skip


def line(claim: Claim) -> dict:
    """One claim as a line of claims.csv. `direction`: of its parts on accuracy, at the short protocol."""
    directions = [part.short.direction for part in claim.parts if part.short and part.short.direction]
    return {
        "id": claim.id, "claim": claim.says, "where": claim.where, "paper": claim.paper, "measured": _words(claim.finding),
        "verdict": claim.finding.verdict, "direction": worst_direction(directions) if directions else None,
        "p": claim.finding.p, "p_holm": claim.adjusted, "verdict_holm": claim.adjusted_verdict,
        "basis": " ".join(dict.fromkeys(part.basis for part in claim.parts)), "evidence": claim.link,
    }  # fmt: skip


def write(plan: Plan, results: Path, out: Path) -> None:
    """claims.csv and claims.json."""
    claims = judged(gather(plan, results))
    lines = [line(claim) for claim in claims]
    write_text(out / "claims.csv", to_csv(lines))
    parts = [{**line(claim), "parts": [part_line(part) for part in claim.parts]} for claim in claims]
    write_json(out / "claims.json", {"preset": plan.preset, "claims": parts})
