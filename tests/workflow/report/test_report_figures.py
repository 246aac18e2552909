"""Figures: the lines they are drawn from, the files, and how they stand on a page."""

import csv
import html
import itertools
import re

import numpy
import pytest
import report_factory as factory

from workflow.report import products as report
from workflow.report.figures import DRAWINGS, alt_of, lines_of, scatter, style
from workflow.report.figures.dynamics import thin
from workflow.report.figures.style import inline
from workflow.report.results import gather
from workflow.report.rows import side


def test_sides():
    assert side(5) == 5.0 and side([4, 9]) == 6.0


def test_thinning_keeps_both_ends():
    assert thin(list(range(1000)), 5) == [0, 250, 500, 749, 999]
    assert thin([1, 2], 5) == [1, 2]


def test_series_have_the_paper_the_mean_and_the_seeds(partial):
    plan, results = partial
    found = lines_of("figure3a", gather(plan, results))
    paper = {line["x"]: line["value"] for line in found if line["source"] == "paper" and line["metric"] == "accuracy"}
    assert paper == {20: 92.35, 32: 92.99, 44: 93.35}
    at_44 = [line for line in found if line["x"] == 44 and line["metric"] == "accuracy"]
    seeds = [line["value"] for line in at_44 if line["source"].startswith("seed")]
    mean = next(line for line in at_44 if line["source"] == "mean")
    assert len(seeds) == mean["n"] == 2 and mean["value"] == pytest.approx(sum(seeds) / 2)


def test_kernels_of_a_run_are_shown_where_they_were_kept(partial, tmp_path):
    rows = [factory.entry("a", learn=660000)]
    plan = factory.plan_of({"figure2": {"dataset": "cifar10", "rows": rows}}, seeds=(0,))
    results, run = tmp_path / "results", plan.runs[0]
    factory.write_search(results, run, [3, 1])
    numpy.savez(
        results / "runs" / run.id / "kernels.npz",
        first=numpy.full((2, 2, 3, 3), 2.0),
        second=numpy.array([[[[3.0]], [[4.0]]]]),
    )
    found = [line for line in lines_of("figure2", gather(plan, results)) if line["kind"] == "kernel"]
    assert [line["value"] for line in found] == [2.0] * 9 + [pytest.approx(12.5**0.5)]  # sqrt((9 + 16) / 2)


def test_alternative_text_has_the_numbers(partial):
    plan, results = partial
    evidence = gather(plan, results)
    found = lines_of("figure3c", evidence)
    text = alt_of("figure3c", found, plan)
    layer5 = [line["size"] for line in found if line["layer"] == 5]
    assert set(layer5) == {7.0} and text.count(", 7,") == 2


def test_curves_are_means_over_the_seeds_that_got_there(tmp_path):
    rows = [factory.entry("a")]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": rows}}, seeds=(0, 1))
    for run, accuracy in zip(plan.runs, (90.0, 92.0), strict=True):
        factory.write_result(tmp_path, run, accuracy)
    last = lines_of("curves", gather(plan, tmp_path))[-1]
    assert (last["epoch"], last["accuracy"], last["low"], last["high"], last["n"]) == (4, 91.0, 90.0, 92.0, 2)


def test_names_in_accuracy_against_time_lie_on_nothing():
    """As the renderer sets them: no name on another, none on a point; with 24 networks in a crowd."""
    point = lambda n: {
        "row": f"r{n}", "label": f"EffConv-{n} (0.66M)", "source": "measured", "accuracy": 90 + n % 5, "std": 0.1, "seconds": 10.0 + n,
        "protocol": "paper",
    }  # fmt: skip
    figure = scatter.draw([*map(point, range(24)), {**point(3), "row": "far", "accuracy": 20.0}], None)
    (axes,) = figure.axes
    names = [note.get_window_extent() for note in axes.texts]
    assert len(names) > 5 and any("(below)" in note.get_text() for note in axes.texts)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(names, 2))
    points = axes.transData.transform([(10.0 + n, 90 + n % 5) for n in range(24)])
    assert not any(name.contains(*place) for name in names for place in points)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["figure2", "figure3b", "accuracy-time"])
def test_files_and_no_second_drawing(partial, tmp_path, monkeypatch, name):
    monkeypatch.setattr(style, "png_bytes", factory.PNG)
    monkeypatch.setattr(style, "pdf_bytes", factory.PDF)
    plan, results = partial
    report.write(name, plan, results, tmp_path)
    base = tmp_path / "figures" / name
    with open(base.with_suffix(".csv"), newline="") as file:
        assert len(list(csv.DictReader(file))) > 5
    svg, stamp = base.with_suffix(".svg").read_text(), base.with_suffix(".svg").stat().st_mtime_ns
    png, pdf = base.with_suffix(".png").read_bytes(), base.with_suffix(".pdf").read_bytes()
    # Whole files, from their first bytes to their last.
    assert "<text" in svg and png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82")
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    report.write(name, plan, results, tmp_path)
    assert base.with_suffix(".svg").stat().st_mtime_ns == stamp
    base.with_suffix(".svg").unlink()
    report.write(name, plan, results, tmp_path)
    assert base.with_suffix(".svg").read_text() == svg


def test_the_page_comes_after_the_files_that_it_links_to(partial, tmp_path):
    assert list(report.makers(*partial, tmp_path))[-1] == "index"


@pytest.mark.slow
def test_every_figure_without_any_result(tmp_path):
    plan = factory.configured_plan()
    for name in DRAWINGS:
        report.write(name, plan, tmp_path / "results", tmp_path)
        assert (tmp_path / "figures" / f"{name}.svg").exists()


def test_inline_svg_has_own_ids_themed_colours_and_no_addresses():
    svg = (
        '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg xmlns:xlink="http://www.w3.org/1999/xlink" '
        'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'
        '<g id="unused"><path id="m1" style="fill: #0072b2"/></g><use xlink:href="#m1"/><g clip-path="url(#m1)"/></svg>'
    )
    found = inline(svg, "fig", 'a "b" <c>')
    assert "http" not in found and "unused" not in found and "var(--blue)" in found
    assert re.findall(r'id="([^"]+)"', found) == ["fig-0"] and 'href="#fig-0"' in found and "url(#fig-0)" in found
    assert found.count("<g") == 1 and "</g>" not in found  # the bare group is gone, the one that clips is not
    label = re.search(r'aria-label="([^"]*)"', found)[1]
    assert html.unescape(label) == 'a "b" <c>' and "<c>" not in found
