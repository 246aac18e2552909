"""How long a job may run."""

import time

from workflow.machine import time_limit


def test_the_first_limit_counts(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    assert time_limit.seconds(None, None, {}) is None
    assert time_limit.seconds(None, 3, {}) == 180
    assert time_limit.seconds(2, 3, {}) == 120
    assert time_limit.seconds(None, None, {"SLURM_JOB_END_TIME": "1000600"}) == 480  # two minutes before the end
    assert time_limit.seconds(5, None, {"SLURM_JOB_END_TIME": "1000600"}) == 300
    assert time_limit.seconds(None, None, {"SLURM_JOB_END_TIME": "1000100"}) == 50  # a short job: half of it
    assert time_limit.seconds(None, None, {"SLURM_JOB_END_TIME": "999000"}) == 0
    assert time_limit.seconds(None, 1, {"SLURM_JOB_END_TIME": "soon"}) == 60


def test_a_cluster_is_asked_for_half_as_much_again_in_sittings_of_a_day():
    """CKCNN-16 takes some 38 hours a seed and FlexNet-5 on ImageNet-32 some 107: nine sittings are enough for either."""
    assert time_limit.minutes_to_ask(60) == 60
    assert time_limit.minutes_to_ask(3 * 3600) == 270
    for hours in (38, 107):
        assert 9 * time_limit.minutes_to_ask(hours * 3600) >= 1.5 * 60 * hours
