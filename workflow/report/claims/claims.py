"""The paper's claims, each with its figures, the measured ones and a verdict; the rules are named in config/claims.yaml."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workflow.plan.plan import Plan
from workflow.report import text
from workflow.report.claims import size_rules as _size_rules  # noqa: F401, imported for the rules that it registers
from workflow.report.claims import verdicts
from workflow.report.claims.rules import RULES, Missing, Setting
from workflow.report.claims.verdicts import Finding, together
from workflow.report.csv_files import to_csv
from workflow.report.results import Evidence, gather
from workflow.support.errors import UserError
from workflow.support.files import ROOT, read_yaml, write_json, write_text

CLAIMS = ROOT / "config" / "claims.yaml"


@dataclass(frozen=True)
class Claim:
    """One claim and how it came out. `link`: anchor of the evidence on the page."""

    id: str
    says: str
    where: str
    paper: str
    link: str
    finding: Finding


@cache
def definitions(path: Path = CLAIMS) -> tuple[dict, ...]:
    """The claims as written in claims.yaml."""
    return tuple(read_yaml(path)["claims"])


def judge(setting: Setting, part: dict) -> Finding:
    """The finding of one part of a claim: {"rule": name, ...arguments}."""
    arguments = {key: value for key, value in part.items() if key != "rule"}
    if part["rule"] not in RULES:
        raise UserError(f"claims.yaml: unknown rule '{part['rule']}'; the rules are {', '.join(RULES)}.")
    basis, function = RULES[part["rule"]]
    try:
        finding = function(setting, **arguments)
    except Missing as missing:
        return Finding(verdicts.NOT_RUN, str(missing))
    except TypeError as error:
        raise UserError(
            f"claims.yaml: rule '{part['rule']}' and its arguments do not fit ({error}): correct them."
        ) from error
    plan = setting.evidence.plan
    comparable = {"counts": True, "seconds": setting.evidence.real_data}.get(basis, plan.comparable)
    return (
        finding
        if comparable or finding.verdict == verdicts.NOT_RUN
        else Finding(verdicts.NOT_COMPARABLE, finding.measured)
    )


def judged(evidence: Evidence) -> list[Claim]:
    """Every claim with its verdict, in the order of the file."""
    found = []
    for claim in definitions():
        setting = Setting(evidence, claim["dataset"])
        finding = together(judge(setting, part) for part in claim["parts"])
        found.append(Claim(claim["id"], claim["says"], claim["where"], claim["paper"], claim["evidence"], finding))
    return found


def counts(claims: list[Claim]) -> dict[str, int]:
    """How many claims got each verdict, all six listed."""
    tally = Counter(claim.finding.verdict for claim in claims)
    return {verdict: tally[verdict] for verdict in verdicts.VERDICTS}


def write(plan: Plan, results: Path, out: Path) -> None:
    """claims.csv and claims.json."""
    lines = [
        {"id": c.id, "claim": c.says, "where": c.where, "paper": c.paper,
         "measured": text.plain(c.finding.measured).replace("\n", "; "), "verdict": c.finding.verdict, "evidence": c.link}
        for c in judged(gather(plan, results))
    ]  # fmt: skip
    write_text(out / "claims.csv", to_csv(lines))
    write_json(out / "claims.json", {"preset": plan.preset, "claims": lines})
