"""Every verdict that each rule can give, on made-up results."""

import pytest
import report_factory as factory
from rule_factory import finding, found

from workflow.report.claims.rules import rows_read
from workflow.report.claims.verdicts import (
    EQUAL,
    FAILS,
    HOLDS,
    NOT_COMPARABLE,
    NOT_RUN,
    OPEN,
    OPPOSITE,
    SAME,
    TOLERANCE,
    UNDECIDED,
)
from workflow.support.errors import UserError

NARROW = [92.3, 92.35, 92.4]


BEATS = {"rule": "beats", "better": "a", "worse": "b"}


@pytest.mark.parametrize(
    ("a", "b", "preset", "verdict"),
    [
        (NARROW, [91.0, 91.1, 91.05], "paper", HOLDS),
        ([91.0, 91.1, 91.05], NARROW, "paper", FAILS),
        ([92.3, 91.9, 92.6], [92.1, 92.5, 91.8], "paper", UNDECIDED),
        ([93.0], [91.0], "paper", UNDECIDED),
        (NARROW, [91.0, 91.1, 91.05], "smoke", NOT_COMPARABLE),
        (NARROW, [92.1, 92.5, 91.8], "smoke", NOT_COMPARABLE),
        ([91.0, 91.1, 91.05], NARROW, "smoke", NOT_COMPARABLE),
        (NARROW, [], "paper", NOT_RUN),
        (NARROW, [], "smoke", NOT_COMPARABLE),  # what there is was made by no protocol with a name
    ],
)
def test_beats(tmp_path, a, b, preset, verdict):
    assert finding(tmp_path, BEATS, accuracies={"a": a, "b": b}, preset=preset) == verdict


def test_beats_by_a_margin_in_top5(tmp_path):
    accuracies, top5 = {"a": NARROW, "b": NARROW}, {"a": [60.9, 61.0, 61.1], "b": [49.9, 50.0, 50.1]}
    part = {**BEATS, "metric": "top5", "margin": 11.59, "tolerance": 1.0}
    assert finding(tmp_path, part, accuracies=accuracies, top5=top5) == TOLERANCE


def test_a_row_without_a_system_was_not_run(tmp_path):
    assert finding(tmp_path, {**BEATS, "worse": "absent"}, accuracies={"a": NARROW}) == NOT_RUN


@pytest.mark.parametrize(
    ("b", "verdict"),
    [
        ([92.0, 92.01, 92.02], HOLDS),
        ([92.38, 92.4, 92.42], TOLERANCE),
        ([92.9, 92.95, 93.0], FAILS),
        ([91.0, 92.5, 93.6], UNDECIDED),
    ],
)
def test_on_par(tmp_path, b, verdict):
    assert (
        finding(
            tmp_path, {"rule": "on_par", "row": "a", "other": "b", "tolerance": 0.3}, accuracies={"a": NARROW, "b": b}
        )
        == verdict
    )


@pytest.mark.parametrize(
    ("b", "verdict"), [([92.3, 92.34, 92.38], HOLDS), ([90.0, 90.1, 90.2], FAILS), ([91.0, 92.5, 93.6], UNDECIDED)]
)
def test_same(tmp_path, b, verdict):
    assert (
        finding(
            tmp_path, {"rule": "same", "row": "a", "other": "b", "tolerance": 0.3}, accuracies={"a": NARROW, "b": b}
        )
        == verdict
    )


@pytest.mark.parametrize(("b", "verdict"), [([91.0, 91.1, 91.2], NOT_RUN), ([93.0, 93.1, 93.2], FAILS)])
def test_best_needs_every_rival_but_falls_with_one(tmp_path, b, verdict):
    assert (
        finding(tmp_path, {"rule": "best", "row": "a", "table": "table2"}, accuracies={"a": NARROW, "b": b}) == verdict
    )


@pytest.mark.parametrize("better", ["a", "c"])
def test_best_looks_at_every_rival(tmp_path, better):
    accuracies = {name: [91.0, 91.1, 91.2] for name in "ac"} | {"b": NARROW, better: [93.0, 93.1, 93.2]}
    part = {"rule": "best", "row": "b", "table": "table2"}
    assert finding(tmp_path, part, accuracies=accuracies) == FAILS


def test_one_rival_of_many_is_better_by_chance_more_often(tmp_path):
    """One rival is ahead with p = 0.034 (Welch, by SciPy): beside three ties that is 0.14 by Holm, beside one far behind 0.034."""
    from scipy.stats import ttest_ind

    own, ahead, behind = [92.0, 92.1, 92.2, 92.3], [92.25, 92.35, 92.45, 92.55], [80.0, 82.0, 84.0, 86.0]
    assert ttest_ind(own, ahead, equal_var=False).pvalue == pytest.approx(0.034, abs=0.001)
    part = {"rule": "best", "row": "a", "table": "table2"}
    rivals = {"b": ahead, "c": own, "d": own, "e": own}
    seen = lambda name, rows: found(tmp_path / name, part, accuracies={"a": own, **rows}, seeds=range(4))
    assert seen("many", rivals).verdict == NOT_RUN  # the paper's absent row is one of them: what is left is undecided
    assert "a 92.15" in seen("many2", rivals).measured
    assert seen("few", {"b": ahead, "c": behind}).verdict == FAILS


@pytest.mark.parametrize(
    ("part", "b", "way"),
    [
        (BEATS, [91.0, 91.1, 91.05], SAME),
        (BEATS, [93.0, 93.1, 93.05], OPPOSITE),
        (BEATS, [92.32, 92.34, 92.36], EQUAL),
        (BEATS, [91.0, 92.5, 93.0], OPEN),
        (BEATS, [], NOT_RUN),
        ({"rule": "on_par", "row": "a", "other": "b", "tolerance": 0.3}, [91.0, 91.1, 91.05], SAME),
        ({"rule": "on_par", "row": "a", "other": "b", "tolerance": 0.3}, [92.5, 92.52, 92.54], EQUAL),
        ({"rule": "on_par", "row": "a", "other": "b", "tolerance": 0.3}, [92.6, 92.65, 92.7], OPEN),
        ({"rule": "on_par", "row": "a", "other": "b", "tolerance": 0.3}, [94.0, 94.1, 94.05], OPPOSITE),
        ({"rule": "same", "row": "a", "other": "b", "tolerance": 0.3}, [92.3, 92.34, 92.38], EQUAL),
        ({"rule": "same", "row": "a", "other": "b", "tolerance": 0.3}, [91.0, 91.1, 91.05], OPPOSITE),
        ({"rule": "rises", "rows": ["b", "a"]}, [91.0, 91.1, 91.05], SAME),
        ({"rule": "best", "row": "a", "table": "table2"}, [93.0, 93.1, 93.05], OPPOSITE),
    ],
)
def test_directions_at_the_short_protocol(tmp_path, part, b, way):
    accuracies = {"a": NARROW, "b": b}
    assert found(tmp_path, part, accuracies=accuracies, preset="short").direction == way
    at_papers = found(tmp_path / "other", part, accuracies=accuracies, preset="short", source="paper")
    assert at_papers.verdict == NOT_COMPARABLE  # never a verdict


@pytest.mark.parametrize(
    ("b", "c", "verdict"),
    [
        ([92.7, 92.75, 92.8], [93.0, 93.05, 93.1], HOLDS),
        ([92.2, 92.3, 92.25], [93.0, 93.05, 93.1], TOLERANCE),
        ([91.0, 91.1, 91.05], [93.0, 93.05, 93.1], FAILS),
        ([92.3, 92.35, 92.4], [91.0, 91.1, 91.05], FAILS),
        ([92.3, 92.35, 92.4], [92.0, 92.4, 92.8], UNDECIDED),
        ([91.0, 91.8, 92.6], [93.0, 93.05, 93.1], UNDECIDED),
        ([92.2, 92.25, 92.3], [91.9, 92.4, 92.9], UNDECIDED),  # a small step down proves nothing where the ends do not
        ([94.0, 94.05, 94.1], NARROW, UNDECIDED),  # nor does a large one: two tests err more often
        (NARROW, [93.0, 93.05, 93.1], HOLDS),  # no step is none down
    ],
)
def test_rises(tmp_path, b, c, verdict):
    part = {"rule": "rises", "rows": ["a", "b", "c"], "tolerance": 0.2}
    assert finding(tmp_path, part, accuracies={"a": NARROW, "b": b, "c": c}) == verdict


@pytest.mark.parametrize(
    ("slow", "preset", "verdict"),
    [
        ((80, 0.01), "paper", HOLDS), ((60, 0.01), "short", TOLERANCE), ((55, 0.05), "paper", UNDECIDED), ((20, 0.01), "paper", FAILS),
        ((80, 0.01), "smoke", NOT_COMPARABLE),
    ],
)  # fmt: skip
def test_faster(tmp_path, slow, preset, verdict):
    part = {"rule": "faster", "slow": "a", "fast": "b", "ratio": 7.0, "tolerance": 0.2}
    assert finding(tmp_path, part, seconds={"a": slow, "b": (10, 0.01)}, preset=preset) == verdict


def test_faster_without_a_timing_was_not_run(tmp_path):
    assert (
        finding(
            tmp_path, {"rule": "faster", "slow": "a", "fast": "b"}, seconds={"a": (1, 0.1)}, accuracies={"b": NARROW}
        )
        == NOT_RUN
    )


@pytest.mark.parametrize(
    ("other", "verdict"), [((10, 0.02), HOLDS), ((11, 0.01), TOLERANCE), ((12.7, 0.02), UNDECIDED), ((30, 0.02), FAILS)]
)
def test_time_about(tmp_path, other, verdict):
    part = {"rule": "time_about", "row": "a", "other": "b", "ratio": 1.0, "tolerance": 0.2}
    assert finding(tmp_path, part, seconds={"a": (10, 0.02), "b": other}) == verdict


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        ((18, 23, 28), HOLDS),
        ((10, 24, 25), UNDECIDED),
        ((18, 12, 18.2), UNDECIDED),
        ((10, 20, 40), UNDECIDED),  # to the power 1.7, give or take 3.4
        ((8, 20.48, 38.72), FAILS),  # the square of the depth
        ((30, 20, 10), FAILS),
        ((10, 20, 10), FAILS),  # a slope of nothing
    ],
)
def test_time_linear(tmp_path, seconds, verdict):
    part = {"rule": "time_linear", "rows": ["a", "b", "c"], "depths": [20, 32, 44], "correlation": 0.97}
    assert (
        finding(tmp_path, part, seconds={name: (value, 0.01) for name, value in zip("abc", seconds, strict=True)})
        == verdict
    )


@pytest.mark.parametrize(("count", "verdict"), [(2_580_000, HOLDS), (2_750_000, TOLERANCE), (1_300_000, FAILS)])
def test_parameter_ratio_is_the_same_in_every_preset(tmp_path, count, verdict):
    part = {"rule": "parameter_ratio", "large": "a", "small": "b", "ratio": 3.9, "tolerance": 0.1}
    assert finding(tmp_path, part, parameters={"a": count, "b": 660_000}, preset="smoke") == verdict


def test_best_of_those_in_the_paper(tmp_path):
    accuracies = {"a": NARROW, "ours": [95.0, 95.1, 95.2]}
    part = {"rule": "best", "row": "a", "table": "table2"}
    assert finding(tmp_path, part, accuracies=accuracies) == NOT_RUN  # the paper's absent row alone is asked for


def test_what_a_rule_takes_where_nothing_is_said(tmp_path):
    """No margin, no tolerance, a ratio of one: more is enough, and as much or less is not."""
    seconds = lambda value: {"a": (value, 0.001), "b": (10, 0.001)}
    faster = {"rule": "faster", "slow": "a", "fast": "b"}
    for value, verdict in ((10.5, HOLDS), (9.5, FAILS), (5.0, FAILS)):
        assert finding(tmp_path / f"f{value}", faster, seconds=seconds(value)) == verdict
    for shift, verdict in ((0.2, HOLDS), (-0.2, FAILS)):
        accuracies = {"a": [value + shift for value in NARROW], "b": NARROW}
        assert finding(tmp_path / f"b{shift}", BEATS, accuracies=accuracies) == verdict
    rises, steps = {"rule": "rises", "rows": ["a", "b", "c"]}, {"a": NARROW, "c": [93.0, 93.05, 93.1]}
    for name, b, verdict in (("less", 92.25, UNDECIDED), ("much", 91.85, FAILS), ("more", 92.45, HOLDS)):
        accuracies = {**steps, "b": [b - 0.05, b, b + 0.05]}
        assert finding(tmp_path / name, rises, accuracies=accuracies) == verdict


# At depths 10, 20, 40 the exponent is half the log2 of last over first, its error |log2 of middle over the ends' mean| / sqrt(3), and
# Student's interval with one degree of freedom 12.7 of these.
@pytest.mark.parametrize(
    ("middle", "error", "verdict"), [(1.2 + 0.01 * 3**0.5, 0.01, FAILS), (1.2 + 0.02 * 3**0.5, 0.02, UNDECIDED)]
)
def test_an_exponent_whose_interval_lies_above_one(tmp_path, middle, error, verdict):
    part = {"rule": "time_linear", "rows": ["a", "b", "c"], "depths": [10, 20, 40], "correlation": 0.9}
    seconds = {"a": (10, 0.01), "b": (10 * 2**middle, 0.01), "c": (10 * 2**2.4, 0.01)}
    said = found(tmp_path, part, seconds=seconds)
    assert said.verdict == verdict and f"to the power 1.20 ± {error:.2f}" in said.measured


def test_a_row_that_was_not_timed_says_so(tmp_path):
    said = found(
        tmp_path, {"rule": "faster", "slow": "b", "fast": "a"}, seconds={"a": (1, 0.1)}, accuracies={"b": NARROW}
    )
    assert said.verdict == NOT_RUN and said.measured.startswith("b: ") and "time" in said.measured


def test_the_figures_behind_a_verdict(tmp_path):
    """What each rule says it has measured, worked out by hand."""
    said = lambda name, part, **measured: found(tmp_path / name, part, **measured).measured
    words = said("beats", BEATS, accuracies={"a": [92.2, 92.4, 92.6], "b": [91.0]})
    assert words == "a 92.40 ± 0.20 (n = 3) against b 91.00 (n = 1): +1.40 points"
    top5 = {"a": [60.0, 60.0, 60.0], "b": [50.0]}
    words = said("top5", {**BEATS, "metric": "top5"}, accuracies={"a": NARROW, "b": [91.0]}, top5=top5)
    assert words == "a 60.00 ± 0.00 (n = 3) against b 50.00 (n = 1): +10.00 top-5 points"
    # 80 s give or take 1% against 10 s give or take 5%: 79.2 / 10.5 to 80.8 / 9.5
    part = {"rule": "faster", "slow": "a", "fast": "b"}
    words = said("faster", part, seconds={"a": (80, 0.01), "b": (10, 0.05)})
    assert words == "a 80.0 s against b 10.0 s an epoch: ×8.00 [7.54, 8.51]"
    words = said("rises", {"rule": "rises", "rows": ["a", "b"]}, accuracies={"a": [92.2, 92.4, 92.6], "b": [93.0]})
    assert words == "92.40 ± 0.20, 93.00; last against first +0.60 points"
    # 12, 24, 48 s at depths 10, 20, 40: 1.2 s a layer, straight, to the power 1
    part = {"rule": "time_linear", "rows": ["a", "b", "c"], "depths": [10, 20, 40], "correlation": 0.97}
    words = said("linear", part, seconds={"a": (12, 0.01), "b": (24, 0.01), "c": (48, 0.01)})
    assert words.startswith(
        "1.20 s an epoch for each layer, correlation 1.000; seconds grow with depth to the power 1.00"
    )
    part = {"rule": "parameter_ratio", "large": "a", "small": "b", "ratio": 4, "tolerance": 0.1}
    words = said("ratio", part, parameters={"a": 2_640_000, "b": 660_000})
    assert words == "2.640M against 0.660M parameters: ×4.00"
    part = {"rule": "largest_layer", "row": "a", "layer": 2, "tolerance": 1, "deepest": 1}
    words = said("layer", part, sizes={"a": [[3, 7, 5], [5, 6, 6]]})
    assert words == "largest mean size 6.5 in layer 2; by seed: layers 2; 2, 3"
    part = {"rule": "first_layers_agree", "row": "a", "other": "b", "layers": 2, "tolerance": 0.5}
    words = said("agree", part, sizes={"a": [[5, 5, 7, 2, 2]], "b": [[5, 4, 3, 4, 5]]})
    assert words == "mean difference in size 0.50 over the first 2 layers, 3.00 over the other 3"
    part = {"rule": "searches_settle", "budget": 0.02, "drift": 0.1}
    # 3 + 4 k / 4 at the steps k = 1 to 4: the last but one is the nine tenths' record, and a whole size away from the last
    words = said("settle", part, sizes={"a": [[7, 3]]}, count=673_200)
    assert words == (
        "1 searches with the same options: after the last step 2.0 % off their budgets; "
        "soft sizes moved by at most 0.50 in the last tenth, averaged over layers"
    )


def test_rules_at_their_very_limits(tmp_path):
    """A tolerance that is just reached holds; binary fractions, so that nothing is rounded."""
    ratio = {"rule": "parameter_ratio", "large": "a", "small": "b", "ratio": 4, "tolerance": 0.25}
    for count, verdict in ((450, HOLDS), (350, HOLDS), (500, TOLERANCE), (300, TOLERANCE), (501, FAILS), (299, FAILS)):
        assert finding(tmp_path / f"r{count}", ratio, parameters={"a": count, "b": 100}) == verdict
    faster = {"rule": "faster", "slow": "a", "fast": "b", "ratio": 7.4, "tolerance": 0.01}
    assert finding(tmp_path / "f", faster, seconds={"a": (76, 0.01), "b": (10, 0.01)}) == HOLDS  # 75.24 / 10.1 = 7.45
    settle = {"rule": "searches_settle", "budget": 0.25, "drift": 1.0}
    for count, verdict in ((825_000, HOLDS), (990_000, TOLERANCE), (990_001, FAILS)):
        assert (
            finding(tmp_path / f"s{count}", settle, sizes={"a": [[7]]}, count=count) == verdict
        )  # a drift of exactly 1
    agree = {"rule": "first_layers_agree", "row": "a", "other": "b", "layers": 2, "tolerance": 0.5}
    for b, verdict in (([5, 5, 2], FAILS), ([5, 4, 2], FAILS), ([5, 4, 3], TOLERANCE), ([4, 4, 5], FAILS)):
        name = "a" + "".join(map(str, b))
        assert finding(tmp_path / name, agree, sizes={"a": [[5, 5, 2]] * 2, "b": [b] * 2}) == verdict


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"rule": "beat"}, ["unknown rule 'beat'", "beats"]),
        ({"rule": "beats", "better": "a"}, ["rule 'beats'", "'worse'"]),
        ({"rule": "beats", "better": "aa", "worse": "bb", "wurse": "bb"}, ["rule 'beats'", "'wurse'"]),
        ({"rule": "beats", "better": "aa", "worse": "bbb"}, ["unknown row 'cifar10/bbb'", "'cifar10/bb'"]),
        ({"rule": "best", "row": "aa", "table": "table3"}, ["no table 'table3'"]),
    ],
)
def test_mistakes_in_the_file_are_named(part, words):
    """Before anything was measured: else a row's typing error is found when its claim's first row has its results, days later."""
    tables = factory.plan_of(
        {"table2": {"dataset": "cifar10", "rows": [factory.entry("aa"), factory.entry("bb")]}}
    ).tables
    with pytest.raises(UserError) as caught:
        rows_read("cifar10", part, tables)
    assert all(word in str(caught.value) for word in words), caught.value
