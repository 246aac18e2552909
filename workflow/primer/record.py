"""results/<preset>/primer.json, read with the checks that keep a bad one off the page. Torch-free."""

import math
from pathlib import Path

from workflow.primer.statement import Statement
from workflow.records.records import SCHEMA, BadRecord, check_seal
from workflow.support.code_digests import code_digests
from workflow.support.files import read_json

FILE = "primer.json"


def read(path: Path) -> dict:
    """The record, its statements as `Statement`s. BadRecord, with the reason, where it is missing or unsound."""
    record = read_json(path, "`python -m workflow primer` computes it", BadRecord)
    if record.get("schema") != SCHEMA:
        raise BadRecord(f"{path} is not a record of this version (schema {SCHEMA}); delete it and run again")
    check_seal(path, record)  # records of before it was sealed have none
    try:
        statements = tuple(Statement(**fields) for fields in record["statements"])
        costs, layers = record["costs"], record["vgg16"]
        values = [value for s in statements for value in (s.printed, s.computed) if not isinstance(value, str)]
        numbers = [line["milliseconds"] for line in costs] + values
        record["digests"], record["provenance"], record["effort"]
        untrained = record.setdefault("untrained", None)  # records of before it was computed are sound
        if untrained:
            numbers += [line["change"] for part in ("changes", "flips") for line in untrained[part]]
        finite = all(map(math.isfinite, numbers))
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRecord(f"{path} lacks a sound part ({error}); delete it and run again") from None
    if not (statements and costs and layers):
        raise BadRecord(f"{path} is empty; delete it and run again")
    if not finite:
        raise BadRecord(f"{path} holds a number that is not finite; delete it and run again")
    return {**record, "statements": statements}


def primer_digests() -> dict[str, str]:
    """Digests of the code that computes the primer's statements."""
    topics = ("parameters", "stacking", "blocks", "winners", "shapes", "sliding", "vgg", "costs")
    modules = [*(f"workflow.primer.{topic}" for topic in topics), "effconv.untrained"]
    return code_digests(modules, within=("workflow.primer", "effconv"))
