"""The page, parsed: complete in itself, consistent with summary.csv, the same when made again."""

import csv
import json
import re
from html.parser import HTMLParser

import pytest
import report_factory as factory

from workflow.report import products as report
from workflow.report.figures import DRAWINGS
from workflow.support.errors import UserError

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Ids, links, images and cells of a page; complains about tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.attributes, self.tags, self.open, self.cells, self.row, self.sections = (
            [],
            [],
            [],
            [],
            [],
            {},
            None,
            set(),
        )
        self.images, self.tables, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs.items()]
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "a":
            self.links.append(attrs["href"])
        if tag == "svg":
            self.images.append(attrs)
        if tag == "table":
            self.tables.append([])
        if tag in ("th", "caption") and self.tables:
            self.tables[-1].append((tag, attrs.get("scope")))
        if tag == "tr":
            self.row = attrs.get("id")
        if tag == "td" and self.row:
            self.cells.setdefault(self.row, []).append(attrs.get("data-value"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def made(partial, tmp_path_factory):
    plan, results = partial
    out = tmp_path_factory.mktemp("site") / "reports"
    recorded = out.parent / "recorded"
    kept = factory.plan_of(
        {"table2": {"dataset": "cifar10", "rows": [factory.entry("x", label="CIFARResNet-20")]}},
        preset="short",
        seeds=(0,),
    )
    factory.fill(kept, recorded / "h200-quick")
    factory.write_result(recorded / "h200-quick", kept.runs[0], 55.55)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workflow.records.state.expected_digests", lambda run, stage: {"run": "current"})
        patch.setattr("workflow.report.results.expected_digests", lambda run, stage: {"run": "current"})
        report.write("aggregate", plan, results, results)
        for name in ("table1", "table2", "table3", "table4"):
            report.write(name, plan, results, out)
        report.write_page(plan, results, out, recorded)
        first = (out / "index.html").read_bytes()
        report.write_page(plan, results, out, recorded)
    return plan, results, out, first


@pytest.fixture(scope="module")
def page(made):
    return Page(made[3].decode())


def test_twice_the_same_bytes_below_a_megabyte(made):
    assert (made[2] / "index.html").read_bytes() == made[3]
    assert len(made[3]) < 1_000_000


def test_ids_are_unique_and_links_resolve(made, page):
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link[1:] in page.ids if link.startswith("#") else (made[2] / link).exists(), link
    assert {
        "claims",
        "table1",
        "table2",
        "table3",
        "table4",
        "protocol",
        "findings",
        "runs",
        "recorded",
        "reproduce",
        "checklist",
    } <= set(page.ids)
    assert set(DRAWINGS) <= set(page.ids)


def test_nothing_is_asked_of_anyone(made, page):
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", made[3].decode())
    for tag, name, value in page.attributes:
        if name in ("src", "href") and tag != "a" and tag != "use":
            assert value == "data:,", (tag, name, value)


def test_pictures_have_alternative_text(page):
    assert page.images
    for image in page.images:
        assert image["role"] == "img" and len(image["aria-label"]) > 8


def test_tables_have_captions_and_scopes(page):
    assert len(page.tables) > 10
    for table in page.tables:
        assert ("caption", None) in table
        assert all(scope in ("col", "row", "colgroup") for tag, scope in table if tag == "th")


def test_numbers_are_those_of_the_summary(made, page):
    plan, results, *_ = made
    with open(results / "summary.csv", newline="") as file:
        summary = {(line["dataset"], line["row"]): line for line in csv.DictReader(file)}
    checked = 0
    for name in ("table1", "table2", "table3", "table4"):
        for row in plan.tables[name]["rows"]:
            line, cells = summary[plan.tables[name]["dataset"], row["row"]], page.cells[f"{name}-{row['row']}"]
            # Cells beside the row's heading: accuracy (paper, measured, strip, difference), top-5, counts, seconds, ratios, status.
            keys = [
                "paper_accuracy",
                "accuracy",
                None,
                "difference",
                *(["paper_top5", "top5", None] if name == "table4" else []),
            ]
            keys += ["paper_parameters_millions", "parameters", "macs", "paper_seconds", "seconds_per_epoch"]
            assert [cell or "" for key, cell in zip(keys, cells, strict=False) if key] == [
                line[key] for key in keys if key
            ]
            assert len(cells) == len(keys) + 3
            checked += bool(line["accuracy"])
    assert checked > 20


def test_what_is_missing_is_said(page):
    text = " ".join(page.text)
    assert "2/3 seeds" in text and "not measured" in text and "not in the paper" in text
    assert "the loss is not a number: lower the learning rate <b>now</b>" in text
    assert "stale" in text and re.search(r"1 of \d+ runs failed", text)


def test_markup_in_names_is_shown_and_not_interpreted(made, page):
    assert page.tags.count("script") == 1
    assert "<script>alert('x')</script> & co" in " ".join(page.text)
    assert "b" not in page.tags


def test_recorded_results_stand_alone(made, page):
    _, results, *_ = made
    text = " ".join(page.text)
    assert "h200-quick" in text and "55.55" in text
    assert "55.55" not in (results / "summary.csv").read_text()


def test_a_broken_record_is_named(partial, tmp_path):
    plan, results = partial
    (tmp_path / "recorded" / "x").mkdir(parents=True)
    (tmp_path / "recorded" / "x" / "plan.json").write_text("{")
    with pytest.raises(UserError, match="recorded"):
        report.write_page(plan, results, tmp_path / "reports", tmp_path / "recorded")


def test_a_page_without_any_result(tmp_path):
    plan = json.loads(json.dumps(factory.configured_plan(preset="smoke")))
    report.write_page(plan, tmp_path / "results", tmp_path / "reports", tmp_path / "recorded")
    text = " ".join(Page((tmp_path / "reports" / "index.html").read_text()).text)
    assert re.search(r"\b0 of \d+ runs", text) and "smoke preset." in text
    assert "recorded" not in Page((tmp_path / "reports" / "index.html").read_text()).ids


def test_nothing_of_the_report_imports_torch():
    import subprocess
    import sys

    code = (
        "import sys, workflow.report.page, workflow.report.tables\n"
        "assert not {'torch', 'matplotlib.pyplot', 'matplotlib.figure', 'scipy.stats', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=factory.ROOT)
