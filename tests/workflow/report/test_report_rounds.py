"""Rows that were timed in rounds: ratios are taken round by round, so that a host's drift is in none of them."""

import pytest
import report_factory as factory

from workflow.report.claims.claims import judge
from workflow.report.claims.rules import Setting
from workflow.report.results import gather
from workflow.report.rows import rows_in
from workflow.report.seconds import seconds_by_round, seconds_ratio
from workflow.support.files import write_json

DEVICE = "Example GPU"


@pytest.fixture
def rows_of(tmp_path):
    """Rows a, b of table 4 from the rounds of each; fewer than two: timed once."""

    def made(**rounds):
        plan = factory.plan_of({"table4": {"dataset": "cifar10", "rows": [factory.entry(name) for name in rounds]}})
        for run in plan.runs[:: len(plan.seeds)]:
            values = rounds[run.row]
            record = factory.write_timing(tmp_path / "paper", run, sorted(values)[len(values) // 2], spread=0.1)
            if len(values) > 1:
                (part,) = record["segments"]
                part |= {"rounds": values, "low": min(values) * 0.9, "high": max(values) * 1.1}
                write_json(tmp_path / "paper" / "timings" / "cifar10" / f"{run.row}.json", record)
        return gather(plan, tmp_path / "paper")

    return made


def test_the_ratio_is_the_geometric_mean_of_the_rounds_with_students_interval(rows_of):
    evidence = rows_of(a=[10.0, 20.0, 12.0], b=[5.0, 8.0, 6.0])  # 2, 2.5, 2
    a, b = rows_in(evidence, "table4")
    found = seconds_ratio(a, b, DEVICE)
    # Logarithms 0.6931, 0.9163, 0.6931: mean 0.7675, standard error 0.0744, and 4.3027 of these by Student's t with two degrees.
    assert (found.value, found.low, found.high) == pytest.approx((2.1544, 1.5644, 2.9670), rel=1e-4)
    setting = Setting(evidence, "cifar10", "paper")
    assert setting.ratio("a", "b") == found
    assert setting.by_round("a", "b") == [[10.0, 20.0, 12.0], [5.0, 8.0, 6.0]]
    said = judge(setting, {"rule": "faster", "slow": "a", "fast": "b"}).measured
    assert said == "a 12.0 s against b 6.00 s an epoch: ×2.15 [1.56, 2.97] round by round"


@pytest.mark.parametrize("b", [[5.0], [5.0, 5.0]])
def test_rows_without_as_many_rounds_go_by_their_slices(rows_of, b):
    evidence = rows_of(a=[10.0, 20.0, 12.0], b=b)
    a, other = rows_in(evidence, "table4")
    assert seconds_by_round((a, other), DEVICE) is None
    found = seconds_ratio(a, other, DEVICE)
    assert (found.value, found.low, found.high) == pytest.approx((12 / 5, 9 / 5.5, 22 / 4.5))
    setting = Setting(evidence, "cifar10", "paper")
    assert setting.by_round("a", "b") == [[12.0], [5.0]]
    assert "round" not in judge(setting, {"rule": "faster", "slow": "a", "fast": "b"}).measured


def test_no_ratio_where_one_was_not_timed_on_the_device(rows_of):
    a, b = rows_in(rows_of(a=[10.0], b=[5.0]), "table4")
    assert seconds_ratio(a, b, "another") is None
