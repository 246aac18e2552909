"""What makes the page stale: its code with all that it imports, and the records of other folders."""

import os

import pytest

from workflow.plan import digests
from workflow.support import code_digests


@pytest.fixture
def folder(tmp_path):
    for name in ("runs/mnist/net/seed0/result.json", "timings/mnist/net.json"):
        path = tmp_path / "short" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return tmp_path / "short"


@pytest.mark.parametrize(
    "name", ["runs/mnist/net/seed1/search.json", "timings/mnist/other.json", "primer.json", "selfcheck.json"]
)
def test_another_record_is_noticed(folder, name):
    before = digests.records_digest([folder])
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    assert digests.records_digest([folder]) != before
    path.unlink()
    assert digests.records_digest([folder]) == before


def test_a_record_that_is_changed_or_written_again_is_noticed(folder):
    path, found = folder / "timings" / "mnist" / "net.json", {digests.records_digest([folder])}
    path.write_text("{1}")
    found.add(digests.records_digest([folder]))
    os.utime(path, ns=(1, 1))
    found.add(digests.records_digest([folder]))
    path.unlink()
    found.add(digests.records_digest([folder]))
    assert len(found) == 4


@pytest.mark.parametrize(
    "name", ["plan.json", "timings/mnist/net.failure.json", "runs/mnist/net/seed0/history.jsonl", "logs/x.log"]
)
def test_what_no_page_shows_is_none(folder, name):
    before = digests.records_digest([folder])
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("{}")
    assert digests.records_digest([folder]) == before


@pytest.mark.parametrize(
    "module",
    [
        "workflow.report.chapters.central", "workflow.primer.figures", "workflow.records.state", "workflow.records.history",
        "workflow.support.durations", "workflow.machine.gpu_pool",
    ],
)  # fmt: skip
def test_the_page_is_made_again_where_code_that_it_runs_has_changed(monkeypatch, module):
    before, real = digests.report_digest(), code_digests.module_digest
    monkeypatch.setattr(code_digests, "module_digest", lambda name: "changed" if name == module else real(name))
    assert digests.report_digest() != before


def test_the_page_is_not_made_again_for_the_engine(monkeypatch):
    before, real = digests.report_digest(), code_digests.module_digest
    engine = lambda name: name.startswith(("workflow.engine", "effconv", "baselines"))
    monkeypatch.setattr(code_digests, "module_digest", lambda name: "changed" if engine(name) else real(name))
    assert digests.report_digest() == before
