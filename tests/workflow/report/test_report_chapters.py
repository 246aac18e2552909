"""Chapters: shown once one of their own rows was measured, otherwise silent; their CSV has a line a row."""

import csv
from dataclasses import replace

import pytest
import report_factory as factory

from workflow.plan.plan import Entry
from workflow.report import products
from workflow.report.results import gather


def planned(tmp_path):
    plan, deep = factory.configured_plan(), factory.entry("deep")
    runs = [run for run in plan.runs if run.place == "cifar10/cifar-resnet-20"]
    runs += [factory.run_of("cifar10", deep, seed) for seed in range(3)]
    known = next(row for row in plan.tables["table2"].rows if row.row == "cifar-resnet-20")
    depth = Entry(kind="chapter", title="Depth", dataset="cifar10", text="Does depth matter?", rows=(known, deep))
    tables = {**plan.tables, "depth": depth}
    return replace(plan, runs=tuple(runs), tables=tables, on_demand=("cifar10/deep",)), tmp_path / "results" / "paper"


def page_of(plan, results, tmp_path):
    products.write("index", plan, results, tmp_path / "out")
    return (tmp_path / "out" / "index.html").read_text()


@pytest.mark.slow
def test_rows_on_demand_are_counted_and_shown_once_they_were_asked_for(tmp_path):
    plan, results = planned(tmp_path)
    plain = replace(plan, runs=tuple(run for run in plan.runs if run.row != "deep"))
    factory.fill(plain, results)
    assert len(gather(plan, results).states) == 3
    page = page_of(plan, results, tmp_path)
    assert 'id="depth"' not in page
    # Of the network that was timed, 10 + 269,722 / 100,000 s of which the factory takes 0.4: three seeds of four epochs.
    assert "<strong>Depth</strong> 1 row, about 61 s on Example GPU: <code>snakemake depth</code>" in page
    deep = next(run for run in plan.runs if run.row == "deep")
    factory.write_result(results, deep, 93.5)
    page = page_of(plan, results, tmp_path)
    assert 'id="depth"' in page and "Does depth matter?" in page and "Chapters not run" not in page
    products.write("depth", plan, results, tmp_path / "out")
    with (tmp_path / "out" / "chapters" / "depth.csv").open() as file:
        lines = {line["row"]: line for line in csv.DictReader(file)}
    assert list(lines) == ["cifar-resnet-20", "deep"] and float(lines["deep"]["accuracy"]) == 93.5
