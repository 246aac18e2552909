"""What a record must carry to be current: a digest of its run's description, and one of every module that computes its numbers."""

import json
from functools import cache

import baselines
from workflow.protocol import search_methods
from workflow.support.code_digests import code_digests, text_digest
from workflow.support.files import ROOT

# What the numbers of each stage come from; a system adds its own module.
ENTRIES = {
    "search": ("workflow.engine.search",),
    "train": ("workflow.engine.train",),
    "time": ("workflow.engine.measure",),
    "synthetic": ("workflow.data.synthetic",),
    "primer": tuple(
        f"workflow.primer.{topic}"
        for topic in ("parameters", "stacking", "blocks", "winners", "shapes", "sliding", "vgg", "costs")
    ),
}


@cache
def _code(stage: str, system: str | None, method: str | None = None) -> dict[str, str]:
    if system is None:
        return code_digests(ENTRIES[stage])
    # Readers of data files are left out: what they read is known by its checksums.
    entries = (*ENTRIES[stage], baselines.module_of(system), *([search_methods.module_of(method)] if method else []))
    return code_digests(entries, without="workflow.data")


def expected_digests(run: dict, stage: str) -> dict[str, str]:
    """What a record of `stage` must carry to be current: a digest of the run's description and one of each module behind it."""
    spec = {key: value for key, value in run.items() if key != "label"}
    if stage == "search":
        spec.pop("train")
    method = search_methods.method_of(run) if run["search"] and stage != "train" else None
    return {"run": text_digest(json.dumps(spec, sort_keys=True)), **_code(stage, run["system"], method)}


def data_digests() -> dict[str, str]:
    """Digests of the code that makes up the smoke preset's images."""
    return _code("synthetic", None)


def report_digest() -> str:
    """A digest of what turns records into pages: the report's code, its templates and the texts in config/."""
    folders = [ROOT / "workflow" / name for name in ("report", "primer")]
    files = [
        path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".j2", ".css", ".js")
    ]
    texts = [*files, *(ROOT / "config" / f"{name}.yaml" for name in ("claims", "protocol", "findings"))]
    return text_digest("".join(path.read_text() for path in texts))
