"""Made-up results for the report's tests."""

from dataclasses import replace
from pathlib import Path

import pytest
import report_factory as factory


@pytest.fixture(autouse=True)
def current(monkeypatch):
    """The factory's digests and epochs."""
    factory.stand_in(monkeypatch)


@pytest.fixture(scope="session")
def partial(tmp_path_factory) -> tuple[dict, Path]:
    """The suite's own tables with results: a seed failed, one unfinished, one stale, rows not run, a label of markup."""
    root = tmp_path_factory.mktemp("partial")
    plan, results = factory.configured_plan(), root / "results" / "paper"
    markup = "<script>alert('x')</script> & co"

    def hostile(shown):
        rows = [replace(row, label=markup) if row.row == "cifar-resnet-32" else row for row in shown.rows]
        return replace(shown, rows=tuple(rows)) if shown.dataset == "mnist" else shown

    runs = [replace(run, label=markup) if run.place == "mnist/cifar-resnet-32" else run for run in plan.runs]
    plan = replace(plan, tables={name: hostile(shown) for name, shown in plan.tables.items()}, runs=tuple(runs))
    factory.fill(plan, results)
    runs = {run.id: run for run in plan.runs}
    failed = runs["cifar10/effconv-32-0.66m/seed1"]
    (results / "runs" / failed.id / "result.json").unlink()
    factory.write_failure(results, failed, "the loss is not a number: lower the learning rate <b>now</b>")
    (results / "runs" / "cifar10/effconv-44-0.66m/seed2" / "result.json").unlink()
    for row in ("stl10/cifar-resnet-44", "cifar10/flexnet-16"):
        for path in (results / "runs" / row).glob("seed*/*"):
            path.unlink()
    factory.write_result(results, runs["stl10/cifar-resnet-20/seed0"], 71.0, digests={"run": "older"})
    return plan, results
