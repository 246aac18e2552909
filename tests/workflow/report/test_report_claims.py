"""The list of the paper's claims, and the files that its verdicts are written to."""

import csv
import json

import yaml

from workflow.report import products as report
from workflow.report.claims import claims, verdicts
from workflow.report.claims.rules import RULES
from workflow.report.claims.verdicts import HOLDS, NOT_RUN
from workflow.report.figures import DRAWINGS


def test_the_list_of_claims(root):
    defined = claims.definitions()
    assert len({claim["id"] for claim in defined}) == len(defined) == 22
    tables = yaml.safe_load((root / "config" / "tables.yaml").read_text())
    anchors = set(tables["tables"]) | set(DRAWINGS)
    used = {part["rule"] for claim in defined for part in claim["parts"]}
    assert {claim["evidence"] for claim in defined} <= anchors
    assert used <= set(RULES) and set(RULES) <= used  # no rule without a claim either


def test_claims_are_written(partial, tmp_path):
    plan, results = partial
    report.write_claims(plan, results, tmp_path)
    with open(tmp_path / "claims.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 22 and {line["verdict"] for line in lines} <= set(verdicts.VERDICTS)
    assert json.loads((tmp_path / "claims.json").read_text())["claims"][0]["id"] == "mnist-best"
    by_id = {line["id"]: line for line in lines}
    assert by_id["cifar-flexnet-acc"]["verdict"] == NOT_RUN
    assert by_id["sizes-not-deepest"]["verdict"] == HOLDS
