"""The page, parsed: complete in itself, consistent with summary.csv, the same when made again."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
import report_factory as factory

from workflow.report import products as report
from workflow.report.figures import DRAWINGS

pytestmark = pytest.mark.slow

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
    """(plan, results, folder, first bytes): the partial results, and one row's short results that are recorded beside them."""
    plan, results = partial
    out = results.parents[1] / "reports"
    kept = factory.plan_of(
        {"table2": {"dataset": "cifar10", "rows": [factory.entry("flexnet-16", label="FlexNet-16")]}}, preset="short"
    )
    recorded = results.parent / "recorded" / "h200-short"
    for run in kept.runs:
        factory.write_result(recorded, run, 55.55)
    with pytest.MonkeyPatch.context() as patch:
        factory.stand_in(patch)
        report.write("aggregate", plan, results, out)
        report.write("page", plan, results, out)
        first = (out / "index.html").read_bytes()
        report.write("index", plan, results, out)
    yield plan, results, out, first
    for path in recorded.rglob("result.json"):
        path.unlink()


@pytest.fixture(scope="module")
def page(made):
    return Page(made[3].decode())


@pytest.fixture(scope="module")
def runs(made):
    return Page((made[2] / "runs.html").read_text())


def test_twice_the_same_bytes_below_a_megabyte(made):
    assert (made[2] / "index.html").read_bytes() == made[3]
    assert len(made[3]) < 1_000_000


def test_ids_are_unique_and_links_resolve(made, page, runs):
    ids = {"": page.ids, "index.html": page.ids, "runs.html": runs.ids}
    for one, own in ((page, ""), (runs, "runs.html")):
        assert len(one.ids) == len(set(one.ids))
        for link in one.links:
            file, _, anchor = link.partition("#")
            if link.startswith("data:"):
                continue
            assert anchor in ids[file or own] if anchor else (made[2] / link).exists(), link
    sections = {
        "findings",
        "claims",
        "published",
        "tables",
        "table1",
        "table2",
        "table3",
        "table4",
        "figures",
        "method",
        "files",
    }
    assert sections | {"selfcheck", "reproduce"} <= set(page.ids) and set(DRAWINGS) - {
        "contrasts",
        "image-share",
    } <= set(page.ids)


def test_nothing_is_asked_of_anyone(made, page, runs):
    for name in ("index", "runs"):
        assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", (made[2] / f"{name}.html").read_text())
    for tag, name, value in page.attributes + runs.attributes:
        if name in ("src", "href") and tag != "a" and tag != "use":
            assert value == "data:,", (tag, name, value)


def test_pictures_have_alternative_text(page):
    assert page.images
    for image in page.images:
        assert image.get("aria-hidden") or (image["role"] == "img" and len(image["aria-label"]) > 8)


def test_tables_have_captions_and_scopes(page, runs):
    assert len(page.tables) > 8
    for table in page.tables + runs.tables:
        assert ("caption", None) in table
        assert all(scope in ("col", "row", "colgroup") for tag, scope in table if tag == "th")


def test_numbers_are_those_of_the_summary(made, page):
    plan, results, *_ = made
    with open(results / "summary.csv", newline="") as file:
        summary = {(line["dataset"], line["row"]): line for line in csv.DictReader(file)}
    checked = 0
    for name in ("table1", "table2", "table3", "table4"):
        for row in plan.tables[name].rows:
            line, cells = summary[plan.tables[name].dataset, row.row], page.cells.get(f"{name}-{row.row}")
            if cells is None:  # folded: a row of the suite alone that was not run
                assert line["accuracy"] == "" and line["in_paper"] == "False"
                continue
            assert len(cells) == 4  # accuracy, counts, seconds, what they rest on
            assert [cell or "" for cell in cells[:3]] == [
                line[key] for key in ("accuracy", "parameters", "seconds_per_epoch")
            ]
            checked += bool(line["accuracy"])
    assert checked > 20


def test_what_is_missing_is_said(page):
    text = " ".join(page.text)
    assert "2 seeds" in text and "cannot be run" in text and "not in the paper" in text
    assert "the loss is not a number: lower the learning rate <b>now</b>" in text
    assert re.search(r"1 of \d+ runs failed", text)


def test_a_stale_result_is_shown_with_a_mark(tmp_path):
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": [factory.entry("effconv-20-0.66m")]}}, seeds=(0,))
    plan = replace(factory.configured_plan(), runs=plan.runs)
    factory.write_result(tmp_path / "paper", plan.runs[0], 91.23, digests={"run": "older"})
    report.write("index", plan, tmp_path / "paper", tmp_path)
    text = " ".join(Page((tmp_path / "index.html").read_text()).text)
    assert "91.23" in text and "earlier code" in text


def test_markup_in_names_is_shown_and_not_interpreted(page, runs):
    for one in (page, runs):
        assert one.tags.count("script") == 1
        assert "<script>alert('x')</script> & co" in " ".join(one.text)
        assert "b" not in one.tags


def test_what_is_recorded_stands_in_its_row_with_its_badge(made, page):
    _, results, *_ = made
    text = " ".join(page.text)
    assert "55.55" in text and "short 4 ep · Example GPU · 3 seeds" in text
    assert ("span", "title", "recorded in results/recorded: h200-short") in page.attributes
    with open(results / "summary.csv", newline="") as file:
        (line,) = (line for line in csv.DictReader(file) if (line["dataset"], line["row"]) == ("cifar10", "flexnet-16"))
    assert (line["protocol"], line["places"], line["difference"]) == ("short", "h200-short", "")
    assert float(line["accuracy"]) == pytest.approx(55.55)


def test_a_broken_record_is_named(tmp_path):
    folder = tmp_path / "results" / "recorded" / "x" / "runs" / "cifar10" / "effconv-20-0.66m" / "seed0"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{")
    report.write("index", factory.configured_plan(), tmp_path / "results" / "paper", tmp_path / "reports")
    assert "1 record could not be read" in (tmp_path / "reports" / "index.html").read_text()
    assert "cannot be read as JSON" in (tmp_path / "reports" / "runs.html").read_text()


def test_a_page_without_any_result(tmp_path):
    plan = factory.configured_plan(preset="smoke")
    report.write("index", plan, tmp_path / "results" / "smoke", tmp_path / "reports")
    parsed = Page((tmp_path / "reports" / "index.html").read_text())
    text = " ".join(parsed.text)
    assert re.search(rf"Self-check: 0 of {len(plan.runs)} networks ran", text)
    assert "1 does not hold, 24 not run" in text  # FlexConv's evaluations are counted on its network
    assert (
        text.count("nothing measured yet") == len(DRAWINGS) - 2
    )  # of all but the central question; an empty figure is a sentence
    assert "verdict" not in {value for tag, name, value in parsed.attributes if name == "class"}


def test_smoke_numbers_are_a_self_check_and_no_results(tmp_path):
    plan, results = factory.configured_plan(preset="smoke"), tmp_path / "results" / "smoke"
    factory.fill(plan, results)
    report.write("index", plan, results, tmp_path / "reports")
    parsed = Page((tmp_path / "reports" / "index.html").read_text())
    done = len(plan.runs)
    text = " ".join(parsed.text)
    assert f"{done} of {done} networks ran" in text and "hardly trained" in text
    assert "1 does not hold, 24 not run" in text and text.count("made-up images") == 1
    # The bar of claims is not filled by runs that ended well.
    bar = re.search(r'<div class="stack".*?</div>', (tmp_path / "reports" / "index.html").read_text())[0]
    assert re.findall(r'<span class="(\w+)"', bar) == ["fails", "idle"]
    for name in ("table1", "table2", "table3", "table4"):  # no accuracy, count or second of smoke in a table
        cells = [cells for row, cells in parsed.cells.items() if row.startswith(f"{name}-")]
        assert cells and not any(value for row in cells for value in row)
    runs = Page((tmp_path / "reports" / "runs.html").read_text())
    shown = [value for tag, name, value in runs.attributes if name == "class" and value and "spark" in value]
    assert len(runs.cells) == done and not shown


def test_the_configuration_can_be_saved(made, page):
    saved = {}
    for tag, name, value in page.attributes:
        if tag == "a" and name == "href" and value.startswith("data:application/json,"):
            saved[len(saved)] = json.loads(unquote(value.removeprefix("data:application/json,")))
    settings, environments = saved.values()
    assert settings["preset"] == "paper" and settings["seeds"] == [0, 1, 2]
    assert environments[0]["device"] == "Example GPU" and environments[0]["packages"]["torch"] == "2.11.0"
    assert json.loads((made[2] / "plan.json").read_text())["preset"] == "paper"
