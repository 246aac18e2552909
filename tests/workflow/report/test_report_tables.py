"""Tables as CSV, Markdown and LaTeX."""

import csv

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
        patch.setattr("workflow.records.state.expected_digests", lambda run, stage: {"run": "current"})
        patch.setattr("workflow.report.results.expected_digests", lambda run, stage: {"run": "current"})
        for name in ("table1", "table2", "table3", "table4"):
            report.write_table(name, plan, results, out)
    return plan, results, out / "tables"


def lines(path):
    with open(path, newline="") as file:
        return {line["row"]: line for line in csv.DictReader(file)}


def test_every_row_of_the_paper_is_there(written):
    plan, _, folder = written
    for name, count in (("table1", 5), ("table2", 19), ("table3", 5), ("table4", 4)):  # rows as printed in the paper
        found = lines(folder / f"{name}.csv")
        assert sum(line["in_paper"] == "True" for line in found.values()) == count
        assert list(found) == [row["row"] for row in plan.tables[name]["rows"]]


def test_missing_seeds_are_in_the_cell_and_published_rows_are_marked(written):
    _, _, folder = written
    found = lines(folder / "table2.csv")
    assert found["effconv-32-0.66m"]["status"] == "2/3 seeds"
    assert found["effconv-32-0.66m"]["measured_accuracy_n"] == "2"
    assert found["ckcnn-7"]["status"] == "not measured" and found["ckcnn-7"]["paper_accuracy"] == "71.7"
    assert lines(folder / "table3.csv")["cifar-resnet-44"]["status"] == "not run"
    markdown = (folder / "table2.md").read_text()
    assert "2/3 seeds" in markdown and "not in the paper" in markdown


def test_accuracies_that_were_chosen_on_the_test_set_are_marked(written):
    _, _, folder = written
    mnist, cifar10 = ((folder / f"table{number}.md").read_text() for number in (1, 2))
    assert "99.74 ± 0.00†" in mnist or "99.74 ± 0.0002†" in mnist
    assert "99.72†" in mnist and "99.53†" not in mnist
    assert "† The published accuracy is that of an epoch chosen on the test set" in mnist
    assert "92.20 ± 0.10†" in cifar10 or "92.2 ± 0.1†" in cifar10
    assert "92.28 ± 0.26†" not in cifar10 and "93.35 ± 0.17†" not in cifar10
    assert r"$\dagger$" in (folder / "table2.tex").read_text()
    found = lines(folder / "table1.csv")
    assert found["vgg-5"]["paper_accuracy"] == "99.72"  # numbers stay numbers
    assert (found["vgg-5"]["paper_selection"], found["network-in-network"]["paper_selection"]) == ("test", "")


def test_ratios_are_against_the_reference_row(written):
    _, _, folder = written
    found = lines(folder / "table2.csv")
    assert float(found["flexnet-16"]["paper_ratio"]) == pytest.approx(127 / 22)
    mine, reference = (float(found[row]["seconds"]) for row in ("effconv-44-0.66m", "cifar-resnet-44"))
    assert float(found["effconv-44-0.66m"]["ratio"]) == pytest.approx(mine / reference)
    assert found["ckcnn-7"]["ratio"] == ""


def test_top5_where_the_paper_has_it(written):
    _, _, folder = written
    assert "measured_top5" in lines(folder / "table4.csv")["flexnet-5"]
    assert "measured_top5" not in lines(folder / "table1.csv")["flexnet-16"]


def test_mnist_counts_images(written):
    plan, results, _ = written
    table = view("table1", gather(plan, results))
    cells = dict(zip([row.id for row in table.rows], table.lines, strict=True))
    assert cells["flexnet-16"]["paper_accuracy"].sub == "30 wrong"  # 0.3 % of 10,000
    assert "wrong" in cells["effconv-20-0.66m"]["measured_accuracy"].sub


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
    report.write_table("table2", plan, tmp_path / "results", tmp_path)
    text = (tmp_path / "tables" / "table2.md").read_text().splitlines()[-1]
    assert "91.20 (n = 1)" in text and "±" not in text


def test_a_preset_that_cannot_be_compared_says_so(tmp_path):
    rows = [factory.entry("plain", label="CIFARResNet-20")]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "reference": "plain", "rows": rows}}, preset="smoke")
    report.write_table("table2", plan, tmp_path / "results", tmp_path)
    assert all("smoke preset." in (tmp_path / "tables" / f"table2.{suffix}").read_text() for suffix in ("md", "tex"))
