"""Change this, and exactly these rows are stale: on a copy of the code and its tables, by the digests that records must carry."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Every row's first seed under the paper's protocol: what a test needs to know of it, and the digests of its stages.
PROGRAM = """
import json
from workflow.plan.config import load
from workflow.plan.digests import expected_digests
from workflow.plan.make import make_plan
stages = lambda run: ["search"] * bool(run.search) + ["train", "time"]
print(json.dumps({
    run.place: {"system": run.system, "recipe": run.train.recipe.name, "dataset": run.dataset,
                "method": run.search and run.search.method, "learned": bool(run.search),
                "digests": {stage: expected_digests(run, stage) for stage in stages(run)}}
    for run in make_plan(load({"preset": "paper", "device": "cpu", "seeds": [0]})).runs
}))
"""
SYSTEM = '''
"""A network of one's own."""
from torch import nn
from baselines.registry import system

@system
def one_layer(*, in_channels, num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes))
'''
CHAPTER = """
title: A system of one's own
dataset: cifar10
text: Is one layer enough?
rows: [cifar-resnet-20, {row: one-layer, label: One layer, system: one_layer, recipe: adam}]
"""
RECIPE = """
adam:
  source: none
  recipe: {optimizer: adam, lr: 0.001, batch_size: 64, epochs: 10, schedule: constant}
  datasets: {cifar10: {normalisation: dataset}}
"""
DATASET = """
letters: {title: Letters, classes: 26, image_size: 28, channels: 1, train_images: 100, test_images: 50, mean: [0.5], std: [0.5]}
"""

NO_ROW = [
    ("a recipe", "config/recipes.yaml", None, RECIPE),
    ("a data set", "config/datasets.yaml", None, DATASET),
    ("a system", "baselines/one_layer.py", None, SYSTEM),
    ("a row of it elsewhere", "config/chapters/mine.yaml", None, CHAPTER),
    ("a table's title", "config/tables.yaml", "title: MNIST", "title: Digits"),
    ("a row's label", "config/tables.yaml", "label: Net in Net,", "label: NiN,"),
    ("a published number", "config/tables.yaml", "acc: 99.53", "acc: 99.54"),
    ("a recipe's source", "config/recipes.yaml", "CVPR 2016, section 4.2", "CVPR 2016"),
    ("a recipe's note", "config/recipes.yaml", "64,000 steps, the rate", "64000 steps, the rate"),
    ("a data set's title", "config/datasets.yaml", "title: MNIST", "title: Digits"),
    ("an error's text in planning", "workflow/plan/make.py", "matches no row with a system", "matches nothing"),
    ("an error's text in the engine", "workflow/engine/pixels.py", "unknown padding", "no such padding"),
    ("a docstring in the engine", "workflow/engine/loop.py", '"""The one training loop:', '"""The loop:'),
    ("a comment in a system", "baselines/smpconv.py", "\n\nclass ", "\n\n# a comment\nclass "),
    ("the arithmetic of a reader", "workflow/data/official.py", "\ndef ", "\n_ANOTHER_NAME = 1\n\n\ndef "),
    ("a figure's colour", "workflow/report/figures/style.py", "#0072b2", "#0072b3"),
    ("the machine", "workflow/machine/lease.py", "\ndef ", "\n_ANOTHER_NAME = 1\n\n\ndef "),
    ("how jobs are done", "workflow/jobs.py", "\nclass ", "\n_ANOTHER_NAME = 1\n\n\nclass "),
]


def resnet_sgd(row: dict) -> bool:
    return (row["recipe"], row["dataset"]) == ("resnet_sgd", "cifar10")


# What is edited, the digest that tells of it, and the rows whose digest it is, by stage.
SOME_ROWS = {
    "one recipe's schedule": (
        "run",
        ("config/recipes.yaml", "epochs: 164, milestones: [82, 123]", "epochs: 164, milestones: [80, 123]"),
        {stage: resnet_sgd for stage in ("train", "time")},
    ),
    "one recipe's images": (
        "run",
        ("config/recipes.yaml", "cifar10: {pad: 4, pad_mode: zero", "cifar10: {pad: 3, pad_mode: zero"),
        {stage: resnet_sgd for stage in ("search", "train", "time")},
    ),
    "a data set's constants": (
        "run",
        ("config/datasets.yaml", "mean: [0.1307]", "mean: [0.1308]"),
        {stage: lambda row: row["dataset"] == "mnist" for stage in ("search", "train", "time")},
    ),
    "one system's arithmetic": (
        "baselines.efficient_capsnet",
        ("baselines/efficient_capsnet.py", "\n\n\n", "\n_ANOTHER_NAME = 1\n\n\n"),
        {stage: lambda row: row["system"] == "efficient_capsnet" for stage in ("train", "time")},
    ),
    "one search method's arithmetic": (
        "baselines.envelope",
        ("baselines/envelope.py", "\n\n\n", "\n_ANOTHER_NAME = 1\n\n\n"),
        {stage: lambda row: row["method"] == "envelope" for stage in ("search", "time")},
    ),
    "the arithmetic of EffConv's search": (
        "effconv.size_predictor",
        ("effconv/size_predictor.py", "\n\n\n", "\n_ANOTHER_NAME = 1\n\n\n"),
        {"search": lambda row: row["learned"], "time": lambda row: True},  # one module of the engine times both stages
    ),
    "the engine's arithmetic": (
        "workflow.engine.step",
        ("workflow/engine/step.py", "self.scale = 1.0", "self.scale = 2.0"),
        {stage: lambda row: True for stage in ("search", "train", "time")},
    ),
}  # fmt: skip
# Those that are told apart by their digests or, in the first, by the rows' data sets are edited together: planning takes seconds.
TOGETHER = [
    ("one recipe's schedule", "a data set's constants"),
    ("one recipe's images",),
    tuple(name for name, (digest, *_) in SOME_ROWS.items() if digest != "run"),
]


@pytest.fixture(scope="module")
def tree(root, tmp_path_factory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    for name in ("effconv", "baselines", "workflow", "config"):
        shutil.copytree(root / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


def digests(tree: Path) -> dict:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(tree) -> dict:
    return digests(tree)


def digests_after(tree: Path, edits) -> dict:
    """The digests with some files edited (old text None: appended), which are then put back."""
    texts = {}
    try:
        for name, old, new in edits:
            path = tree / name
            text = path.read_text() if path.exists() else ""
            texts.setdefault(path, text)
            assert old is None or old in text, f"{name} has no {old!r}"
            path.write_text(text + new if old is None else text.replace(old, new, 1))
        return digests(tree)
    finally:
        for path, text in texts.items():
            path.write_text(text) if text else path.unlink()


def stale(before: dict, after: dict) -> set[tuple[str, str, str]]:
    """(row of before, stage, name) of the digests that have changed, come or gone."""
    return {
        (place, stage, name)
        for place, row in before.items()
        for stage, expected in row["digests"].items()
        for name in {*expected, *after[place]["digests"][stage]}
        if after[place]["digests"][stage].get(name) != expected.get(name)
    }


def test_what_changes_no_number_makes_no_row_stale(tree, before):
    """All at once: where one of them counts, the digests that differ say which."""
    after = digests_after(tree, [edit for _, *edit in NO_ROW])
    assert set(after) - set(before) == {"cifar10/one-layer"}
    assert stale(before, after) == set()


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_what_changes_a_number_makes_its_rows_stale_and_no_others(tree, before, names):
    expected = [
        {(place, stage, digest) for place, row in before.items() if stage in row["digests"] and of(row)}
        for digest, _, rows in (SOME_ROWS[name] for name in names)
        for stage, of in rows.items()
    ]
    found = stale(before, digests_after(tree, [SOME_ROWS[name][1] for name in names]))
    assert all(expected) and found == set().union(*expected)
    assert len(found) == sum(map(len, expected))  # none is there for another's sake


def test_every_change_is_tried():
    assert sorted(name for names in TOGETHER for name in names) == sorted(SOME_ROWS)
