"""The paper's claims, each with its figures, the measured ones and a verdict; the rules are named in config/claims.yaml.

Every part of a claim is judged at the paper's protocol; a part on accuracy has a direction at the short protocol besides, and what
the same rule says of the paper's own means and spreads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workflow.plan.config import validate
from workflow.plan.names import parts_of
from workflow.report.claims import protocols, verdicts
from workflow.report.claims.rules import PUBLISHED, Missing, Setting, rows_read, rule_of
from workflow.report.claims.verdicts import Finding, together
from workflow.report.results import Evidence
from workflow.report.rows import rows_of, sizes_record
from workflow.report.seconds import device_shared
from workflow.report.stats import LEVEL, holm
from workflow.support.errors import UserError
from workflow.support.files import ROOT, read_yaml
from workflow.support.known import known

CLAIMS = ROOT / "config" / "claims.yaml"


@dataclass(frozen=True)
class Part:
    """One comparison of a claim. `finding`: at the paper's protocol; `short`: at the short one (accuracy only); `paper`: of the
    printed figures, and with printed spreads raised to the floor (`raised`, None where that changes nothing). `seeds`: row -> results
    behind the finding, or behind the short one where that is all there is; `devices`: where they come from."""

    rule: str
    basis: str
    finding: Finding
    short: Finding | None
    paper: Finding | None
    raised: Finding | None
    seeds: dict[str, int]
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """One claim and how it came out. `link`: anchor of the evidence on the page; `adjusted`: p value by Holm over the claims."""

    id: str
    says: str
    where: str
    paper: str
    link: str
    finding: Finding
    parts: tuple[Part, ...] = ()
    adjusted: float | None = None

    @property
    def adjusted_verdict(self) -> str:
        """The verdict where all claims are tested together: undecided where its p value does not survive."""
        tested = [part.finding for part in self.parts if part.finding.p is not None]
        fails_anyway = any(p.finding.verdict == verdicts.FAILS and p.finding.p is None for p in self.parts)
        survives = self.adjusted is None or self.adjusted < LEVEL
        stays = not tested or fails_anyway or survives or not self.finding.found
        return self.finding.verdict if stays else verdicts.UNDECIDED


@cache
def definitions(path: Path = CLAIMS) -> tuple[dict, ...]:
    """The claims as written in claims.yaml, checked."""
    written = read_yaml(path)
    validate(written, "claims", path.name)
    seen: set[str] = set()
    for claim in written["claims"]:
        if claim["id"] in seen:
            raise UserError(f"{path.name}: two claims have the id '{claim['id']}': rename one of them.")
        if claim["dataset"] not in written["equal_within"]:
            raise UserError(
                f"{path.name}, claim '{claim['id']}': data set '{claim['dataset']}' has no points under equal_within: add them, "
                "or correct the name."
            )
        seen.add(claim["id"])
    return tuple(written["claims"])


@cache
def equal_within(path: Path = CLAIMS) -> dict[str, float]:
    """Data set -> points that count as equal where a claim says nothing."""
    return read_yaml(path)["equal_within"]


def judge(setting: Setting, part: dict) -> Finding:
    """The finding of one part of a claim: {"rule": name, ...arguments}."""
    arguments, rule = {key: value for key, value in part.items() if key != "rule"}, rule_of(part)
    try:
        return rule.judge(setting, **arguments)
    except Missing as missing:
        way = verdicts.NOT_RUN if rule.basis == protocols.ACCURACY else None
        return Finding(missing.verdict, str(missing), direction=way)


def part_of(evidence: Evidence, dataset: str, part: dict) -> Part:
    """One part of a claim, by every source that its basis knows."""
    rule, rows = rule_of(part), rows_read(dataset, part, evidence.plan.tables)
    delta = equal_within()[dataset]
    source = lambda name, **options: judge(Setting(evidence, dataset, name, delta, **options), part)
    finding, published, raised = source(protocols.PAPER), source(PUBLISHED), None
    short = source(protocols.SHORT) if rule.basis == protocols.ACCURACY else None
    if short and published.found:
        raised = source(PUBLISHED, floor=True)
    behind = finding if finding.found or not short else short
    protocol = protocols.PAPER if behind is finding else protocols.SHORT
    seeds, devices = _behind(evidence, rule.basis, rows, protocol) if behind.found else ({}, ())
    return Part(
        part["rule"], rule.basis, finding, short, published if published.found else None,
        raised if raised and raised.ours != published.ours else None, seeds, devices,
    )  # fmt: skip


def _behind(
    evidence: Evidence, basis: str, rows: Sequence[str], protocol: str
) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many records of each row stand behind a finding, and the devices that they come from."""
    seeds: dict[str, int] = {}
    devices: dict[str, None] = {}
    row_named = lambda name: rows_of(evidence)[parts_of(name)]
    for name in rows:
        row = row_named(name)
        if basis == protocols.SECONDS:
            timing = row.timed_on(device_shared(map(row_named, rows)))
            records = [timing] if timing else []
        elif basis == protocols.SIZES:
            records = [record for record in map(sizes_record, row.searched) if protocols.paper_sizes(record["run"])]
        else:
            states = row.done if basis == protocols.COUNTS else row.at(protocol)
            records = [known(state.result) for state in states]
        seeds[row.name] = len(records)
        devices.update(dict.fromkeys(filter(None, map(protocols.device_of, records))))
    return seeds, tuple(devices)


def judged(evidence: Evidence) -> list[Claim]:
    """Every claim with its verdict, in the order of the file; p values by Holm over the claims that a test decides."""
    found = []
    for claim in definitions():
        parts = tuple(part_of(evidence, claim["dataset"], part) for part in claim["parts"])
        findings = [part.finding for part in parts]
        finding = together(findings, p=verdicts.joint_p(findings))
        found.append((claim, finding, parts))
    tested = [number for number, (_, finding, _) in enumerate(found) if finding.p is not None]
    adjusted = dict(zip(tested, holm([known(found[number][1].p) for number in tested]), strict=True))
    return [
        Claim(c["id"], c["says"], c["where"], c["paper"], c["evidence"], finding, parts, adjusted.get(number))
        for number, (c, finding, parts) in enumerate(found)
    ]
