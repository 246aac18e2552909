"""Rows whose sizes come from a rule: in the plan, in the jobs, and with mistakes in them."""

import json

import pytest
import yaml

from workflow.jobs import Job
from workflow.plan import catalogue, config, make
from workflow.plan.row_sizes import from_search, seeds_of
from workflow.records.records import run_folder
from workflow.support.errors import UserError

TABLES = {
    "title": "Controls", "dataset": "cifar10", "text": "Do sizes matter?",
    "rows": [
        "effconv-20-0.66m",
        {"row": "narrow", "label": "5x5", "system": "cifar_resnet20", "arguments": {"widths": [15, 30, 60]},
         "sizes": {"rule": "uniform", "size": 5}},
        {"row": "draw", "label": "Random", "system": "cifar_resnet20", "seeds": 1,
         "sizes": {"rule": "random", "budget": 660_000, "draw": 1}},
        {"row": "permuted", "label": "Permuted", "system": "cifar_resnet20", "sizes": {"rule": "permuted", "of": "effconv-20-0.66m"}},
        {"row": "next", "label": "Other seed", "system": "cifar_resnet20",
         "sizes": {"rule": "of", "of": "effconv-20-0.66m", "seed": "next"}},
        {"row": "mnist", "label": "Other data", "system": "cifar_resnet20",
         "sizes": {"rule": "of", "of": "effconv-20-0.66m", "dataset": "mnist"}},
    ],
}  # fmt: skip


def made(tmp_path, chapter=TABLES, **user):
    folder = tmp_path / "chapters"
    folder.mkdir(exist_ok=True)
    (folder / "depth.yaml").write_text(yaml.safe_dump(chapter))
    return make.make_plan(
        config.load({"preset": "smoke", "device": "cpu", **user}), catalogue.load_tables(chapters=folder)
    )


def test_rules_become_arguments_or_sources(tmp_path):
    runs = made(tmp_path, seeds=[0, 1, 2]).by_id
    assert runs["cifar10/narrow/seed2"].arguments == {"widths": [15, 30, 60], "kernel_sizes": [5] * 18}
    assert len(runs["cifar10/draw/seed0"].arguments["kernel_sizes"]) == 18
    assert "cifar10/draw/seed1" not in runs
    sources = {name: run.sizes.run for name, run in runs.items() if run.sizes}
    assert sources["cifar10/permuted/seed1"] == "cifar10/effconv-20-0.66m/seed1"
    assert sources["cifar10/next/seed2"] == "cifar10/effconv-20-0.66m/seed0"
    assert sources["cifar10/mnist/seed1"] == "mnist/effconv-20-0.66m/seed1"
    assert {name.split("/")[1] for name in sources} == {"permuted", "next", "mnist"}


@pytest.mark.parametrize(
    ("row", "preset", "more", "seeds"),
    [
        ({}, [0, 1, 2], True, [0, 1, 2]),
        ({"seeds": 1}, [4, 5], True, [4]),
        ({"seeds": 4}, [0, 1], True, [0, 1, 2, 3]),
        ({"seeds": 4}, [0, 1], False, [0, 1]),  # smoke
        ({"sizes": {"seed": "next"}}, [4, 5], True, [4, 5]),
        ({"sizes": {"seed": "next"}}, [4], True, []),
    ],
)
def test_a_row_has_the_presets_seeds_or_as_many_as_it_says(row, preset, more, seeds):
    assert seeds_of(row, preset, more=more) == seeds


def test_a_source_comes_with_the_rows_that_need_it(tmp_path):
    assert {run.place for run in made(tmp_path, only=["cifar10/mnist"]).runs} == {
        "cifar10/mnist",
        "mnist/effconv-20-0.66m",
    }


def test_one_seed_has_no_next_one(tmp_path):
    rows = {run.row for run in made(tmp_path, seeds=[4]).runs}
    assert "next" not in rows and "permuted" in rows


def test_sizes_of_a_search_that_is_not_planned_are_refused_with_both_rows(tmp_path):
    user = {"preset": "short", "fewer_seeds": {"rows": ["cifar10/effconv-20-0.66m"], "seeds": 1}}
    with pytest.raises(UserError) as caught:
        made(tmp_path, only=["cifar10/permuted"], **user)
    text = str(caught.value)
    assert text.startswith("cifar10/permuted/seed1 takes its sizes from the search of cifar10/effconv-20-0.66m/seed1")
    assert "'fewer_seeds'" in text and "\n" not in text


@pytest.mark.parametrize(("searched", "next_ones"), [(None, [1, 2, 3, 4, 0]), (7, [1, 2, 3, 4, 5, 6, 0])])
def test_a_row_has_no_more_seeds_than_the_search_that_it_starts_from(tmp_path, searched, next_ones):
    """Seven seeds where the preset has five: of both rows, or of the one alone."""
    source = {"row": "own", "label": "Own", "system": "cifar_resnet20", "learn": {"parameters": 660_000}}
    row = {"row": "next", "label": "Next", "system": "cifar_resnet20", "seeds": 7,
           "sizes": {"rule": "of", "of": "own", "seed": "next"}}  # fmt: skip
    rows = [{**source, **({"seeds": searched} if searched else {})}, row]
    runs = made(tmp_path, {**TABLES, "rows": rows}, preset="short", only=["cifar10/next"]).runs
    assert [run.sizes.run for run in runs if run.sizes] == [f"cifar10/own/seed{seed}" for seed in next_ones]


def test_one_seed_is_enough_for_every_row_of_the_suite():
    plan = make.make_plan(config.load({"preset": "short", "device": "cpu", "seeds": [0]}))
    assert {run.seed for run in plan.runs if run.place == "cifar10/uneven-20-0.20m"} == {0}
    assert {run.seed for run in plan.runs if run.sizes} == {0}


def changed(**change):
    rows = [dict(row) if isinstance(row, dict) else row for row in TABLES["rows"]]
    rows[3] = {**rows[3], **change}
    return {**TABLES, "rows": rows}


@pytest.mark.parametrize(
    ("chapter", "words"),
    [
        (changed(sizes={"rule": "permuted"}), ["permuted", "needs 'of'"]),
        (changed(sizes={"rule": "random"}), ["random", "needs 'budget'"]),
        (changed(sizes={"rule": "uniform"}), ["uniform", "needs 'size'"]),
        (changed(sizes={"rule": "per-stage", "budget": 660000}), ["per-stage", "takes no 'budget'", "widths"]),
        (changed(sizes={"rule": "spiral"}), ["spiral"]),
        (changed(sizes={"rule": "of", "of": "effconv-20-0.67m"}), ["effconv-20-0.67m", "did you mean"]),
        (changed(sizes={"rule": "of", "of": "cifar-resnet-20"}), ["cifar-resnet-20", "searched row"]),
        (changed(system="resnet18"), ["resnet18", "CIFAR ResNets"]),
        (changed(learn={"parameters": 660_000}), ["one of them"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path, chapter, words):
    with pytest.raises(UserError) as caught:
        made(tmp_path, chapter)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_search_of_another_depth_is_named(tmp_path):
    """Only the search itself tells how many sizes it has."""
    (run,) = made(
        tmp_path, changed(sizes={"rule": "of", "of": "effconv-32-0.66m"}), only=["cifar10/permuted"], seeds=[0]
    ).runs[:1]
    with pytest.raises(UserError, match="30 sizes and .* 18 layers"):
        from_search(run, run.sizes, [3] * 30)


def test_a_permuted_run_trains_with_the_searchs_sizes(tmp_path, monkeypatch):
    """The whole road of a job on made-up images: its source's search first, then training with the permuted sizes."""
    monkeypatch.chdir(tmp_path)
    small = made(
        tmp_path, only=["cifar10/permuted"], seeds=[0], synthetic={"cifar10": {"train": 16, "test": 16}}, data=str(tmp_path),
        epochs={"search": 1, "train": 1}, batch_size=8, images={"search": 8, "train": 8},
    )  # fmt: skip
    from workflow.data import prepare

    (run,) = (run for run in small.runs if run.row == "permuted")
    prepare(
        "cifar10", source="synthetic", folder=tmp_path, out=tmp_path / run.data, synthetic={"train": 16, "test": 16}
    )
    assert Job("train", "depth/all", small, tmp_path / "results", log=lambda text: None).execute() == 0
    folders = {
        name: run_folder(tmp_path / "results", f"cifar10/{name}/seed0") for name in ("permuted", "effconv-20-0.66m")
    }
    learned = json.loads((folders["effconv-20-0.66m"] / "search.json").read_text())
    result = json.loads((folders["permuted"] / "result.json").read_text())
    assert result["parameters"] == learned["parameters"] and result["macs"] == learned["macs"]
    assert sorted(result["kernel_sizes"]) == sorted(learned["sizes"])
    assert result["digests"]["sizes"] == " ".join(map(str, result["kernel_sizes"]))
    assert not (folders["permuted"] / "search.json").exists()
    (first,) = (json.loads(line) for line in (folders["permuted"] / "history.jsonl").read_text().splitlines())
    assert first["train_accuracy"] * 8 % 100 == 0  # shares of the eight images of the shortened training set
