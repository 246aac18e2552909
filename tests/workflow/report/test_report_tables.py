"""Tables as CSV, Markdown and LaTeX."""

import csv
import json
from dataclasses import replace

import pytest
import report_factory as factory

from workflow.report import products as report
from workflow.report.results import gather
from workflow.report.tables.cells import view
from workflow.report.tables.files import latex


@pytest.fixture(scope="module")
def written(partial, tmp_path_factory):
    plan, results = partial
    out = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        factory.stand_in(patch)
        for name in ("table1", "table2", "table3", "table4"):
            report.write(name, plan, results, out)
    return plan, results, out / "tables"


def lines(path):
    with open(path, newline="") as file:
        return {line["row"]: line for line in csv.DictReader(file)}


def test_every_row_of_the_paper_is_there(written):
    plan, _, folder = written
    for name, count in (("table1", 5), ("table2", 19), ("table3", 5), ("table4", 4)):  # rows as printed in the paper
        found = lines(folder / f"{name}.csv")
        assert sum(line["in_paper"] == "True" for line in found.values()) == count
        assert list(found) == [row.row for row in plan.tables[name].rows]


def test_missing_seeds_are_in_the_cell_and_published_rows_are_marked(written):
    _, _, folder = written
    found = lines(folder / "table2.csv")
    assert found["effconv-32-0.66m"]["status"] == "2/3 seeds"
    assert found["effconv-32-0.66m"]["seeds"] == "2"
    assert found["ckcnn-7"]["status"] == "not measured" and found["ckcnn-7"]["paper_accuracy"] == "71.7"
    assert lines(folder / "table3.csv")["cifar-resnet-44"]["status"] == "not run"
    markdown = (folder / "table2.md").read_text()
    (line,) = (line for line in markdown.splitlines() if line.startswith("| EffConv-32 (0.66M)"))
    assert "paper · Example GPU · 2 seeds; timed · Example GPU |" in line


def test_accuracies_that_were_chosen_on_the_test_set_are_marked(written):
    _, _, folder = written
    mnist, cifar10 = ((folder / f"table{number}.md").read_text() for number in (1, 2))
    assert "99.74 ± 0.0002†" in mnist
    assert "99.72†" in mnist and "99.53†" not in mnist
    assert "† The published accuracy is that of an epoch chosen on the test set" in mnist
    assert "92.2 ± 0.1†" in cifar10
    assert "92.28 ± 0.26†" not in cifar10 and "93.35 ± 0.17†" not in cifar10
    assert r"$\dagger$" in (folder / "table2.tex").read_text()
    found = lines(folder / "table1.csv")
    assert found["vgg-5"]["paper_accuracy"] == "99.72"  # numbers stay numbers
    assert (found["vgg-5"]["paper_selection"], found["network-in-network"]["paper_selection"]) == ("test", "")


def test_ratios_are_against_the_reference_row(written):
    _, _, folder = written
    found = lines(folder / "table2.csv")
    assert float(found["flexnet-16"]["paper_ratio"]) == pytest.approx(127 / 22)
    mine, reference = (float(found[row]["seconds_per_epoch"]) for row in ("effconv-44-0.66m", "cifar-resnet-44"))
    assert float(found["effconv-44-0.66m"]["ratio"]) == pytest.approx(mine / reference)
    assert found["ckcnn-7"]["ratio"] == ""


def test_top5_where_the_paper_has_it(written):
    _, _, folder = written
    assert lines(folder / "table4.csv")["flexnet-5"]["top5"] and not lines(folder / "table1.csv")["flexnet-16"]["top5"]
    assert "Top-5: measured" in (folder / "table4.md").read_text() and "Top-5" not in (folder / "table1.md").read_text()


def test_mnist_counts_images(written):
    plan, results, _ = written
    table = view("table1", gather(plan, results))
    line = next(line for line in table.lines if line.row.id == "effconv-20-0.66m")
    wrong = [state.result["test_images"] - state.result["correct"] for state in line.row.done]
    assert line.measured[0].wrong.startswith(f"{sum(wrong) / 3:.1f} ± ") and line.measured[0].wrong.endswith(
        " of 10,000 wrong"
    )
    assert not any(one.wrong for line in view("table2", gather(plan, results)).lines for one in line.measured)


def test_latex_is_escaped_and_complete(written):
    _, _, folder = written
    tex = (folder / "table1.tex").read_text()
    assert r"\& co" in tex and "92.35" not in tex
    body = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert len({line.replace(r"\&", "").count("&") for line in body}) == 1
    assert latex("50 % of a_b ± 2 × σ") == r"50 \% of a\_b $\pm$ 2 $\times$ $\sigma$"


def test_one_seed_has_no_spread(tmp_path):
    rows = [factory.entry("plain", label="CIFARResNet-20")]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "reference": "plain", "rows": rows}}, seeds=(0,))
    factory.write_result(tmp_path / "results", plan.runs[0], 91.2)
    report.write("table2", plan, tmp_path / "results", tmp_path)
    text = (tmp_path / "tables" / "table2.md").read_text().splitlines()[-1]
    assert "| 91.20 |" in text and "1 seed |" in text and "±" not in text


def test_smoke_numbers_are_in_no_table(tmp_path):
    rows = [factory.entry("plain", label="CIFARResNet-20")]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "reference": "plain", "rows": rows}}, preset="smoke")
    factory.fill(plan, tmp_path / "results")
    report.write("table2", plan, tmp_path / "results", tmp_path)
    text = (tmp_path / "tables" / "table2.md").read_text().splitlines()[-1]
    assert "not run" in text and not any(character.isdigit() for character in text.replace("CIFARResNet-20", ""))


def test_seconds_of_rows_without_a_line_stand_behind_their_names(tmp_path):
    """Of a row by another recipe, and of one that the preset leaves out but that was recorded."""
    rows = [factory.entry("a", paper={"acc": 90.0}), factory.entry("a-common", label="a, common"), factory.entry("b")]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": rows}})
    for run in plan.runs[:: len(plan.seeds)]:
        record = factory.write_timing(tmp_path / "recorded" / "x", run, {"a": 2.0, "a-common": 3.0, "b": 4.0}[run.row])
        path = tmp_path / "recorded" / "x" / "timings" / "cifar10" / f"{run.row}.json"
        path.write_text(json.dumps({**record, "run": run.to_json()}))
    plan = replace(plan, runs=tuple(run for run in plan.runs if run.row != "b"))
    found = view("table2", gather(plan, tmp_path / "paper"))
    assert [(line.row.id, line.variants) for line in found.shown] == [("a", ("common 3.00 s",))]
    assert [line.row.name + line.seconds_words for line in found.waiting] == ["b 4.00 s"]
    assert [row.id for row in found.idle] == ["a", "a-common"]  # what the preset leaves out does not wait
