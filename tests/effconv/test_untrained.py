"""The untrained predictor against a GRU written out in NumPy, and what a flip of a size moves by hand."""

import numpy as np
import pytest
import torch

from effconv.kernel_predictor import KernelPredictors
from effconv.untrained import position_changes, size_flips


def gru_states(z, input_weights, input_biases, hidden_weights, hidden_biases, steps):
    """Hidden states of a GRU with constant input z, h_0 = 0, by the equations of Cho et al. as torch orders the gates (r, z, n)."""
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    width = hidden_weights.shape[1]
    h, states = np.zeros(width), []
    for _ in range(steps):
        given = np.split(input_weights @ z + input_biases, 3)
        own = np.split(hidden_weights @ h + hidden_biases, 3)
        reset, update = sigmoid(given[0] + own[0]), sigmoid(given[1] + own[1])
        candidate = np.tanh(given[2] + reset * own[2])
        h = (1 - update) * candidate + update * h
        states.append(h)
    return np.array(states)


@pytest.mark.parametrize(("variant", "hidden", "channels"), [("projected", 64, (16, 16)), ("literal", 0, (8, 8))])
def test_changes_are_those_of_a_gru_written_out(variant, hidden, channels):
    lines = position_changes(variant=variant, hidden=hidden, channels=channels, size=5, seeds=2)
    assert [line["step"] for line in lines] == [*range(2, 26)] * 2
    for seed in (0, 1):
        predictors = KernelPredictors(
            [channels], variant=variant, hidden=hidden, generator=torch.Generator().manual_seed(seed)
        )
        (group,) = predictors.groups.values()
        names = ("z", "input_weights", "input_biases", "hidden_weights", "hidden_biases")
        states = gru_states(*(getattr(group, name)[0].detach().double().numpy() for name in names), 25)
        expected = np.linalg.norm(np.diff(states, axis=0), axis=1) / np.linalg.norm(states[1:], axis=1)
        found = [line["change"] for line in lines if line["seed"] == seed]
        assert found == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-5)


def test_the_fixed_point_is_near_after_six_steps():
    # As found independently for a 16 x 16 literal predictor: 0.35, 0.16, 0.09, 0.05, 0.03, 0.02.
    lines = position_changes(variant="literal", size=3)
    means = [np.mean([line["change"] for line in lines if line["step"] == step]) for step in range(2, 8)]
    assert means == pytest.approx([0.35, 0.16, 0.09, 0.05, 0.03, 0.02], abs=0.015)


def test_what_a_flip_moves_by_hand():
    lines = {line["size"]: line for line in size_flips(seeds=1)}
    # Even sizes pad at the end, so that 2 -> 3 shifts all by a row and a column; 3 -> 4 leaves the first row's steps 0, 1, 2.
    assert [lines[size]["moved"] for size in range(1, 7)] == pytest.approx([0, 1, 6 / 9, 1, 20 / 25, 1])
    assert lines[1]["change"] < 1e-6 < min(lines[size]["change"] for size in (2, 3, 4, 5, 6))
    assert lines[2]["change"] > lines[4]["change"] > lines[6]["change"]  # the first steps differ most


@pytest.mark.parametrize("even_padding", ["end", "start"])
def test_outwards_nothing_moves(even_padding):
    lines = size_flips(order="nested", even_padding=even_padding, seeds=2)
    assert all(line["moved"] == 0 and line["change"] < 1e-6 for line in lines)
    assert max(line["moved"] for line in size_flips(even_padding=even_padding, seeds=1)) == 1


def test_an_unknown_order_is_named():
    with pytest.raises(ValueError, match="kernel_order is 'spiral'"):
        size_flips(order="spiral", seeds=1)
