"""`python -m workflow bundle`: the evidence in one archive, to be deposited or sent, with RO-Crate 1.2 metadata.

The archive holds the records, and the page, its tables, figures and plan made from them now. Everything lies in it as in the
checkout, so that the page's links to records hold. Checkpoints stay out, and so does smoke: its images are made up.
"""

import hashlib
import io
import json
import mimetypes
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from workflow.plan.plan import Plan
from workflow.records.provenance import now
from workflow.report import products
from workflow.report.results import BESIDE, RECORDED, gather
from workflow.support.errors import UserError
from workflow.support.files import ROOT, read_yaml, write_bytes

SPECIFICATION = "https://w3id.org/ro/crate/1.2"
METADATA = "ro-crate-metadata.json"
WORKING_FILES = {".pt", ".running", ".described"}  # checkpoints, and notes of jobs for themselves, earlier ones too
FORMATS = {
    ".jsonl": "application/x-ndjson",
    ".npz": "application/zip",
    ".md": "text/markdown",
    ".cff": "application/yaml",
}
MEANING = {
    "result.json": "Accuracy and counts of one trained network, with the description of its run and where it came from",
    "search.json": "Learned kernel sizes of one network, with the description of its run and where they came from",
    "run.json": "The whole description of a run",
    "history.jsonl": "Every epoch of a run",
    "predictions.npz": "The trained network's answer to every test image",
    "kernels.npz": "The trained kernels of a network with learned sizes",
    "index.html": "The page: every number and claim of the paper beside what was measured",
    "plan.json": "The plan: every run, described wholly",
}


def _evidence(results: Path) -> list[Path]:
    """The files of the real presets and of what is recorded."""
    folders = [results.parent / name for name in (*BESIDE, RECORDED)]
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix not in WORKING_FILES and path.name[0] != "."
    ]


def metadata(files: Mapping[str, bytes], made: str) -> dict:
    """The RO-Crate metadata of an archive's files. `made`: when, in ISO 8601."""
    suite = read_yaml(ROOT / "CITATION.cff")
    paper = next(work for work in suite["references"] if work["type"] == "conference-paper")
    names = {name: quote(name) for name in files}
    licence = f"https://spdx.org/licenses/{suite['license']}"
    graph = [
        {"@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": SPECIFICATION}},
        {
            "@id": "./", "@type": "Dataset", "name": f"Evidence of: {suite['title']}", "datePublished": made,
            "description": "Records of searches, trainings and timings, and the page, tables, figures and plan made from them.",
            "license": {"@id": licence}, "author": [{"@id": "#authors"}], "citation": {"@id": "#paper"},
            "mentions": {"@id": "#packing"}, "hasPart": [{"@id": address} for address in names.values()],
        },
        {"@id": licence, "@type": "CreativeWork", "name": suite["license"], "description": "The text is in the file LICENSE."},
        {"@id": "#authors", "@type": "Organization", "name": suite["authors"][0]["name"]},
        {"@id": "#paper", "@type": "ScholarlyArticle", "name": paper["title"], "datePublished": str(paper["year"])},
        {"@id": "#suite", "@type": "SoftwareApplication", "name": suite["title"], "version": suite["version"]},
        {
            "@id": "#packing", "@type": "CreateAction", "name": "The page was made from the records, and both were packed",
            "endTime": made, "agent": {"@id": "#authors"}, "instrument": {"@id": "#suite"}, "object": {"@id": "./"},
        },
    ]  # fmt: skip
    for name, content in files.items():
        path = Path(name)
        kind = FORMATS.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        meaning = {"description": MEANING[path.name]} if path.name in MEANING else {}
        graph.append({
            "@id": names[name], "@type": "File", "name": name, **meaning, "encodingFormat": kind,
            "contentSize": str(len(content)), "sha256": hashlib.sha256(content).hexdigest(),
        })  # fmt: skip
    return {"@context": f"{SPECIFICATION}/context", "@graph": graph}


def bundle(plan: Plan, results: Path, page: Path, out: Path) -> None:
    """Make the page anew in the folder `page`, and pack it with the records into `out`, which must not exist yet."""
    if plan.source == "synthetic":
        raise UserError(
            "the smoke preset's images are made up, and its numbers no evidence: add --preset short or paper."
        )
    if out.exists():
        raise UserError(f"{out} exists already and is not replaced: choose another --out, or move it away.")
    if not (records := _evidence(results)):
        raise UserError(f"{results.parent}/ holds no evidence: start in the checkout, or run `make report` first.")
    if odd := [path for path in records if not path.as_posix().isprintable()]:
        raise UserError(f"{str(odd[0])!r} has a name that cannot be packed: rename or remove it, then pack again.")
    results = results if results.is_dir() else results.parent / RECORDED
    evidence = gather(plan, results)
    refused = [*evidence.refused, *(f"{s.folder}: {s.reason}" for s in evidence.states if s.status == "rejected")]
    if refused:
        raise UserError(f"a record is damaged ({refused[0]}): restore or delete it, then pack again.")
    shutil.rmtree(page, ignore_errors=True)  # of an earlier archive
    products.write("page", plan, results, page)
    files = {path.as_posix(): path.read_bytes() for path in (*records, *sorted(page.rglob("*.*")))}
    files |= {name: (ROOT / name).read_bytes() for name in ("LICENSE", "CITATION.cff")}
    files[METADATA] = (json.dumps(metadata(files, now()), indent=1) + "\n").encode()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            archive.writestr(zipfile.ZipInfo(name), value, zipfile.ZIP_DEFLATED)
    write_bytes(out, content.getvalue())
    print(
        f"{out}: {len(records)} files of evidence, the page and RO-Crate metadata, {len(content.getvalue()) / 1e6:.1f} MB"
    )
