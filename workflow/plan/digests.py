"""What a record must carry to be current: a digest of its run's description, and one of every module that computes its numbers.

These are the modules of effconv, the system's own with what it imports of baselines, and the engine. Planning, tables, data readers,
the machine and the report change no number, and nothing of them is among the digests.

A change of such a module that no finished run can have met, an error where there was none or a text, would make every record stale all
the same. `config/amendments.yaml` names such changes with their digests before and after, and why they change no number.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import baselines
from workflow.plan.config import validate
from workflow.protocol.runs import Run
from workflow.protocol.search_methods import module_of
from workflow.support.code_digests import code_digests, text_digest
from workflow.support.files import ROOT, read_yaml

ENTRIES = {"search": "workflow.engine.search", "train": "workflow.engine.train", "time": "workflow.engine.measure"}
COMPUTING = ("effconv", "baselines", "workflow.engine")
RECORDS = ("runs/*/*/*/result.json", "runs/*/*/*/search.json", "timings/*/*.json", "primer.json", "selfcheck.json")


@cache
def _code(stage: str, system: str, method: str | None) -> dict[str, str]:
    entries = [ENTRIES[stage], baselines.module_of(system), *([module_of(method)] if method else [])]
    return code_digests(entries, within=COMPUTING)


def expected_digests(run: Run, stage: str) -> dict[str, str]:
    """The digests that a current record of `stage` (search, train, time) carries."""
    method = run.search.method if run.search and stage != "train" else None
    description = text_digest(json.dumps(run.numbers(stage), sort_keys=True))
    return {"run": description, **_code(stage, run.system, method)}


@cache
def _amendments() -> dict[tuple[str, str], str]:
    """(module, digest before) -> digest after, of config/amendments.yaml."""
    path = ROOT / "config" / "amendments.yaml"
    written = read_yaml(path)
    validate(written, "amendments", path.name)
    return {
        (module, before): after for one in written["amendments"] for module, (before, after) in one["modules"].items()
    }


def present(digests: Mapping[str, str]) -> dict[str, str]:
    """A record's digests as those of the present code wherever amendments lead there."""
    found = dict(digests)
    for module in found:
        seen = {found[module]}
        while (after := _amendments().get((module, found[module]))) and after not in seen:
            seen.add(after)
            found[module] = after
    return found


def data_digests() -> dict[str, str]:
    """Digests of the code that makes up the smoke preset's images."""
    return code_digests(["workflow.data.synthetic"], within=("workflow.data",))


def report_digest() -> str:
    """A digest of what turns records into pages: the report's code and what it imports, its templates and the texts in config/."""
    modules = code_digests(["workflow.report.products", "workflow.primer.chapter"], within=("workflow",))
    folders = [ROOT / "workflow" / name for name in ("report", "primer")]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in (".j2", ".css", ".js")]
    texts = [*files, *(ROOT / "config" / f"{name}.yaml" for name in ("claims", "protocol", "findings", "amendments"))]
    return text_digest("".join([json.dumps(modules), *(path.read_text(encoding="utf-8") for path in texts)]))


def records_digest(folders: Iterable[Path]) -> str:
    """A digest of which records lie in folders laid out like results/<preset>, by their sizes and times of change."""
    found = [path for folder in folders for pattern in RECORDS for path in sorted(folder.glob(pattern))]
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found if not is_failure(path)]
    return text_digest(json.dumps(facts))


def is_failure(path: Path) -> bool:
    """Whether a file beside timings says why a row has none; it goes with the next success."""
    return path.name.endswith(".failure.json")
