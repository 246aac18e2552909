"""The guide's notebook, executed from its first cell to its last, and what it says at the end of each step."""

import json

import pytest

nbformat = pytest.importorskip("nbformat")

NAME = "docs/learn_your_kernel_sizes.ipynb"


@pytest.fixture(scope="module")
def cells(root):
    nbformat.validate(nbformat.reads((root / NAME).read_text(), as_version=4))
    return [cell for cell in json.loads((root / NAME).read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_runs_and_finds_what_its_text_says(cells, tmp_path, monkeypatch, capsys):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    space = {}
    for number, cell in enumerate(cells, 1):
        exec(compile("".join(cell["source"]), f"{NAME}, code cell {number}", "exec"), space)
    pyplot.close("all")
    assert "Without images" in capsys.readouterr().out
    assert space["figure"].stat().st_size > 10_000
    learned, ours, accuracy = space["learned"], space["ours"], space["accuracy"]
    # "The images had next to no say" for the paper's form, and for ours "the first layer grew to see its whole window".
    assert learned.chosen["within"] and len(learned.against_budget_only().agreeing) == len(learned.sizes)
    first = next(iter(ours.sizes))
    assert ours.chosen["within"] and ours.sizes[first] >= 6 and not ours.against_budget_only().agreeing
    given, _, variant = accuracy.values()
    assert given < 0.85 < variant
    assert list(tmp_path.iterdir()) == []


def test_shows_its_results_without_being_run(cells):
    assert not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])
    shown = "".join("".join(output.get("text", [])) for cell in cells for output in cell["outputs"])
    assert "kernel predictor: projected" in shown and "Without images" in shown and "of new images" in shown
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"])
