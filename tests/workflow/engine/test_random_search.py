"""Random search: the budget of steps, the halving, the held-out images, resumption, and what it refuses."""

import numpy as np
import pytest
import torch

from workflow import engine
from workflow.check.equality import Plain, Recorded
from workflow.engine import random_search
from workflow.engine.errors import OutOfTime
from workflow.engine.random_search import rounds_of
from workflow.support.errors import UserError


def test_rounds_by_hand():
    # 8, 4, 2 candidates share 240 steps: 80 a round.
    assert rounds_of(8, 240) == [(8, 10), (4, 20), (2, 40)]
    assert rounds_of(5, 90) == [(5, 6), (3, 10), (2, 15)]
    assert rounds_of(2, 1) == [(2, 1)]


def case(tiny, **search):
    plan = {
        "epochs": 2, "parameters": 20_000, "method": "random-search",
        "options": {"candidates": 3, "kernel_predictor": "projected"}, **search,
    }  # fmt: skip
    return tiny.run(system="cifar_resnet8", arguments={"widths": [4, 8, 16]}, search=plan)


def find(run, data, folder, **arguments):
    return random_search.search(run, data, folder, digest="d", log=lambda text: None, **arguments)


def test_the_winner_meets_the_budget_and_no_candidate_sees_the_held_out_or_the_test_images(tiny, tmp_path, monkeypatch):
    seen = []
    images = random_search.images
    monkeypatch.setattr(random_search, "images", lambda *a, **k: seen.append(images(*a, **k)) or seen[0])
    data = tiny.made_up(train=60)
    found = find(case(tiny), data, tmp_path)
    assert abs(found["parameters"] / 20_000 - 1) <= 0.01 and found["chosen"]["within"]
    (sets,) = seen
    assert (sets.train.count, sets.validation.count) == (54, 6)
    together = np.concatenate([sets.train.labels.numpy(), sets.validation.labels.numpy()])
    assert np.array_equal(np.sort(together), np.sort(data.train.labels))
    # 2 epochs of 60 images are 2 x 4 steps: two rounds of 3 and 2 candidates, 4 steps a round.
    assert found["trajectory"]["step"] == [3 * 1, 3 * 1 + 2 * 2]
    assert len(found["seconds_per_epoch"]) == found["epochs"] == 2


def test_a_search_that_is_stopped_ends_with_the_same_sizes(tiny, tmp_path, monkeypatch):
    whole = find(case(tiny), tiny.data, tmp_path / "whole")
    calls = []
    part = random_search._Race.part

    def stopped(self, *arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return part(self, *arguments)

    monkeypatch.setattr(random_search._Race, "part", stopped)
    with pytest.raises(KeyboardInterrupt):
        find(case(tiny), tiny.data, tmp_path / "cut")
    with pytest.raises(OutOfTime):
        find(case(tiny), tiny.data, tmp_path / "cut", deadline=0)
    again = find(case(tiny), tiny.data, tmp_path / "cut")
    assert again["sizes"] == whole["sizes"] and again["trajectory"] == whole["trajectory"]
    assert len(calls) == 3 + 3  # what was done before is not done again: candidates 3, and both of round 2


@pytest.mark.slow
def test_replayed_steps_find_the_same(tiny, tmp_path, monkeypatch):
    """On a GPU its candidates' steps are captured ones, as everybody's; recorded and replayed here."""
    steps, run = [], case(tiny, epochs=6, options={"candidates": 2})

    def make_step(kind):
        def make(model, plan, images, *, precision):
            steps.append(kind(model, plan(True), images, precision=precision))
            return steps[-1]

        return make

    for kind in (Plain, Recorded):
        monkeypatch.setattr(random_search, "make_step", make_step(kind))
        find(run, tiny.data, tmp_path / kind.__name__)
    for plain, recorded in zip(steps[:2], steps[2:], strict=True):
        assert recorded.replays > 0
        torch.testing.assert_close(list(recorded.model.parameters()), list(plain.model.parameters()), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("search", "words"),
    [({"parameters": None}, "give the row's learn one"), ({"options": {"candidates": 1}}, "give at least 2")],
)
def test_what_it_cannot_do_is_said(tiny, tmp_path, search, words):
    with pytest.raises((UserError, ValueError), match=words):
        find(case(tiny, **search), tiny.data, tmp_path)


def test_its_search_is_timed_as_training_at_the_budget(tiny):
    timed = engine.measure(
        case(tiny), tiny.data, kernel_sizes=[3] * 6, log=lambda text: None, slices=3, slice_seconds=0.02
    )
    assert timed["search_seconds"] > 0 and timed["train_seconds"] > 0
    assert [segment["stage"] for segment in timed["segments"]] == ["search", "train"]
