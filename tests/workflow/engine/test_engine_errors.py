"""What may go wrong in a run: each ends it with one sentence."""

import math

import pytest
import torch
from engine_helpers import rows, train

import baselines
from workflow import engine
from workflow.support.errors import UserError


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(tiny, tmp_path, monkeypatch):
    class Breaks(torch.nn.Linear):
        calls = 0

        def forward(self, images):
            if self.training:
                self.calls += 1
            logits = super().forward(images.flatten(1))
            return logits * math.inf if self.calls == 6 else logits

    monkeypatch.setattr(baselines, "build", lambda *a, **k: Breaks(192, 10))
    with pytest.raises(engine.NonFinite, match="not finite at step 2 of epoch 2") as caught:
        train(tiny, tmp_path)
    assert (caught.value.epoch, caught.value.step) == (2, 2)
    assert isinstance(caught.value, ArithmeticError)
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        torch.OutOfMemoryError("CUDA"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_one_sentence_with_the_peak(tiny, tmp_path, monkeypatch, error):
    class Hungry(torch.nn.Linear):
        def forward(self, images):
            raise error

    monkeypatch.setattr(baselines, "build", lambda *a, **k: Hungry(192, 10))
    with pytest.raises(
        UserError, match=r"ran out of memory on this machine after a peak of [\d,]+ MB: lower batch_size \(now 16\)"
    ):
        train(tiny, tmp_path)
    assert not (tmp_path / "train.pt").exists()


def test_another_error_stays_what_it_is(tiny, tmp_path, monkeypatch):
    class Wrong(torch.nn.Linear):
        def forward(self, images):
            raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(baselines, "build", lambda *a, **k: Wrong(192, 10))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(tiny, tmp_path)
