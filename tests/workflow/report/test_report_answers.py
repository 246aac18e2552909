"""Answers to a chapter's questions: the rule by hand and by SciPy, what leaves it undecided, and the chapter on the page."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import report_factory as factory
from scipy import stats as scipy_stats

from workflow.plan.plan import Entry
from workflow.protocol.runs import Search
from workflow.records.state import RunState
from workflow.report import products
from workflow.report.chapters import answers, decisions
from workflow.report.chapters.question_figures import front
from workflow.report.chapters.questions import spent
from workflow.report.results import gather
from workflow.report.rows import Row, rows_of
from workflow.report.stats import Sample, contrast, sample
from workflow.support.errors import UserError


def row(name, accuracies, *, macs=60_000_000):
    """A row with these accuracies, one a seed."""
    entry = factory.entry(name)
    states = []
    for seed, accuracy in enumerate(accuracies):
        run = factory.run_of("cifar10", entry, seed)
        result = {"accuracy": accuracy, "macs": macs, "run": run.to_json(), "seconds_per_epoch": [2.0]}
        folder = Path("results") / "paper" / "runs" / run.id
        states.append(RunState(run, folder, "done", result={**result, "digests": {}}))
    return Row("cifar10", entry, tuple(states))


def asked(rule, rows, others, **fields):
    return {"id": "q", "asks": "Is it?", "rule": rule, "row": rows, "others": others, **fields}


def answer(question, rows):
    return answers.answers([question], {r.id: r for r in rows})[0]


@pytest.mark.parametrize(
    ("rule", "gap", "verdict", "sides", "bound"),
    [
        ("pairs", 0.8, decisions.YES, 2, 0.8),
        ("pairs", -0.6, decisions.NO, 2, 0.6),
        ("pairs", 0.02, decisions.NO, 1, 0.28),  # equal, and so not better: the larger of two one-sided tests
        ("pairs", 0.25, decisions.UNDECIDED, 2, 0.25),
        ("equal", 0.02, decisions.YES, 1, 0.28),
        ("equal", -0.8, decisions.NO, 2, 0.5),
        ("equal", 0.8, decisions.NO, 2, 0.5),
        ("equal", 0.25, decisions.UNDECIDED, 1, 0.05),
        ("equal", -0.25, decisions.UNDECIDED, 1, 0.05),
        ("not_smaller", 0.1, decisions.YES, 1, 0.4),
        ("not_smaller", -0.8, decisions.NO, 2, 0.5),
        ("not_smaller", -0.25, decisions.UNDECIDED, 1, 0.05),
    ],
)
def test_verdict_and_p_value_of_one_difference(rule, gap, verdict, sides, bound):
    """Five seeds a side, spread 0.2, 0.3 points count as equal: the p value by SciPy, of how far the gap lies from what is tested."""
    found = contrast([(1, Sample(90.0 + gap, 0.2, 5)), (-1, Sample(90.0, 0.2, 5))])
    assert decisions.verdict_of(found, rule, 0.3) == verdict
    p = sides * scipy_stats.t.sf(bound / (0.2 * math.sqrt(2 / 5)), 8)
    assert decisions.p_of(found, rule, 0.3, verdict) == pytest.approx(p)


def test_a_contrast_of_two_is_welchs_interval_by_scipy():
    from scipy.stats import ttest_ind

    a, b = [92.1, 92.4, 92.0, 92.6], [91.0, 92.2, 91.5]
    exact = ttest_ind(a, b, equal_var=False)
    found, bounds = contrast([(1, sample(a)), (-1, sample(b))]), exact.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((bounds.low, bounds.high, exact.pvalue), rel=1e-9)


def test_a_row_in_two_pairs_enters_once():
    # By hand: a - (b + c) / 2 with equal variances v of two runs each has variance v / 2 (1 + 1/4 + 1/4) = 3/4 v, and by
    # Satterthwaite (3/4)^2 / (1/4 + 1/64 + 1/64) = 2 degrees of freedom.
    a, b, c = row("a", [90, 92]), row("b", [80, 82]), row("c", [84, 86])
    found = answer(asked("pairs", ["a", "a"], ["b", "c"]), [a, b, c])
    half = 4.302652729911275 * math.sqrt(2 * 0.75)  # Student's 97.5% point for 2 degrees of freedom
    assert found.difference.value == pytest.approx(8)
    assert (found.difference.low, found.difference.high) == pytest.approx((8 - half, 8 + half), rel=1e-6)
    assert (found.verdict, found.compared, found.asked, found.runs) == ("yes", 2, 2, 6)


@pytest.mark.parametrize(
    ("own", "other", "verdict"),
    [
        ([92.0, 92.1, 92.2], [90.0, 90.1, 90.2], "yes"),
        ([90.0, 90.1, 90.2], [92.0, 92.1, 92.2], "no"),
        ([92.0, 92.1, 92.2], [91.9, 92.1, 92.3], "undecided"),
        ([99.0], [10.0, 10.1, 10.2], "undecided"),  # one run has no spread, however far apart
        ([], [10.0, 10.1], "not measured"),
    ],
)
def test_the_verdict_is_cautious(own, other, verdict):
    found = answer(asked("pairs", ["a"], ["b"]), [row("a", own), row("b", other)])
    assert found.verdict == verdict


def test_an_interval_that_touches_zero_is_undecided():
    half = sample([-1.0, 1.0]).estimate.high
    verdict = lambda middle: decisions.verdict_of(sample([middle - 1, middle + 1]).estimate)
    assert verdict(half - 1e-6) == verdict(1e-6 - half) == "undecided"
    assert verdict(half + 1e-6) == "yes" and verdict(-half - 1e-6) == "no"


def test_without_a_margin_nothing_is_equal():
    found = contrast([(1, Sample(90.02, 0.2, 5)), (-1, Sample(90.0, 0.2, 5))])
    assert decisions.verdict_of(found) == decisions.way_of(found) == decisions.UNDECIDED


def test_which_way_a_difference_points():
    near, wide = sample([0.0, 0.1, 0.2, 0.1]).estimate, sample([-1.0, 1.0]).estimate
    small = sample([-0.1, 0.0, 0.1, 0.0]).estimate
    assert (
        decisions.way_of(small) == decisions.way_of(wide, 0.3) == "undecided"
        and decisions.way_of(small, 0.3) == "equal"
    )
    assert decisions.way_of(sample([0.2, 0.21, 0.22]).estimate, 0.3) == "better"  # however little
    back = near.negative()
    assert (back.value, back.low, back.high) == (-near.value, -near.high, -near.low) and back.p == near.p


def test_what_is_said_of_the_numbers():
    """The counts behind an answer, in the singular and the plural."""
    a, b, c = row("a", [92.0, 92.2]), row("b", [90.0, 90.2]), row("c", [93.0])
    said = lambda *arguments: answer(*arguments).because
    assert said(asked("pairs", ["a"], ["b"]), [a, b]).endswith(
        " points, one pair of networks, 4 runs, judged unpaired (not judged by: seed by seed +2.00 [2.00, 2.00])."
    )
    assert ", 2 pairs of networks, 5 runs, judged unpaired; without a second run" in said(
        asked("pairs", ["a", "a"], ["b", "c"]), [a, b, c]
    )
    assert ", 1 draw, 3 runs, 0% of the draws below; without" in said(asked("cloud", ["a"], ["c"]), [a, c])
    words = said(asked("cloud", ["a"], ["b", "c"]), [a, b, c])
    assert words.endswith(" points, 2 draws, 5 runs, 50% of the draws below.")


@pytest.mark.parametrize("rows", [[], [("a", [92.0])], [("b", [90.0]), ("c", [90.0])], [("a", []), ("b", [90.0])]])
@pytest.mark.parametrize("question", [asked("pairs", ["a", "a"], ["b", "c"]), asked("cloud", ["a"], ["b", "c"])])
def test_what_is_not_measured_counts_nothing(question, rows):
    found = answer(question, [row(*each) for each in rows])
    assert (found.verdict, found.difference, found.compared, found.asked, found.runs) == ("not measured", None, 0, 2, 0)


def test_ties_count_half():
    own = sample([92.0, 92.0])
    # One below and one tied of four: 1.5, between the exact bounds of 1 and of 2 of 4 (Clopper and Pearson's tables).
    share, low, high = answers.share_below(own, [91.0, 92.0, 93.0, 94.0])
    assert share == 37.5 and (low, high) == pytest.approx((0.63, 93.24), abs=0.01)


def test_pairs_that_are_not_measured_are_left_out_and_counted():
    rows = [row("a", [92.0, 92.2]), row("b", [90.0, 90.2]), row("c", [50.0, 50.1])]
    found = answer(asked("pairs", ["a", "c"], ["b", "d"]), rows)
    assert (found.compared, found.asked) == (1, 2) and found.difference.value == pytest.approx(2)


def test_a_cloud_counts_each_draw_once():
    draws = [row(f"d{n}", [accuracy]) for n, accuracy in enumerate([90.0, 91.0, 92.0, 93.0])]
    found = answer(asked("cloud", ["a"], [f"d{n}" for n in range(5)]), [row("a", [92.4, 92.6]), *draws])
    assert found.difference.value == pytest.approx(1.0)  # 92.5 - (90 + 91 + 92 + 93) / 4
    assert found.verdict == "undecided"
    share, low, high = found.below
    # Three of four below; Clopper and Pearson's 95% interval for 3 of 4 is 19.4% to 99.4%.
    assert share == 75 and (low, high) == pytest.approx((19.41, 99.37), abs=0.01)
    assert (found.compared, found.asked, found.runs) == (4, 5, 6)


def test_draws_stand_by_their_own_means():
    # 80 and 90 for the row; draws of one seed (81) and of two (79, 89): 85 - (81 + 84) / 2 = 2.5, whatever their seeds are.
    own, draws = row("a", [80.0, 90.0]), [row("d0", [81.0]), row("d1", [79.0, 89.0])]
    found = answer(asked("cloud", ["a"], ["d0", "d1"]), [own, *draws])
    assert found.below[0] == 100 and found.difference.value == pytest.approx(2.5)
    # By hand: variances 50 / 2 and 4.5 / 2 under the root, one degree of freedom on the smaller side.
    assert found.difference.high - 2.5 == pytest.approx(12.706204736 * math.sqrt(25 + 2.25))


def test_pairs_stand_seed_by_seed_too():
    from scipy.stats import ttest_rel

    own, other = [80.0, 90.0, 85.5], [79.0, 88.8, 84.6]
    rows, exact = [row("a", own), row("b", other)], ttest_rel(own, other)
    bounds = exact.confidence_interval(0.95)
    apart = answer(asked("pairs", ["a"], ["b"]), rows)
    assert apart.verdict == "undecided" and "judged unpaired (not judged by: seed by seed +1.03 [" in apart.because
    assert (apart.beside.low, apart.beside.high, apart.beside.p) == pytest.approx(
        (bounds.low, bounds.high, exact.pvalue)
    )
    paired = answer(asked("pairs", ["a"], ["b"], paired=True), rows)
    assert paired.verdict == "yes" and paired.difference == apart.beside and paired.beside == apart.difference
    assert "judged seed by seed (not judged by: unpaired +1.03 [" in paired.because and paired.p == pytest.approx(
        exact.pvalue
    )


def test_seeds_that_one_row_lacks_are_left_out_of_the_pairs():
    rows = [row("a", [80.0, 90.0]), row("b", [79.0])]
    found = answer(asked("pairs", ["a"], ["b"]), rows)
    assert found.beside.value == 1.0 and not found.beside.decided and "seed by seed" not in found.because
    assert answer(asked("pairs", ["a"], ["b"], paired=True), rows).verdict == "undecided"


def test_no_difference_is_an_answer():
    """Two one-sided tests by SciPy: 90 % intervals, here of +-0.13 about 0.05."""
    from scipy.stats import ttest_ind

    own, other = [92.05, 92.15, 91.95, 92.05, 92.05], [92.0, 92.1, 91.9, 91.85, 92.15]
    rows = [row("a", own), row("b", other)]
    bounds = ttest_ind(own, other, equal_var=False).confidence_interval(0.90)
    reach = max(-bounds.low, bounds.high)
    for within, verdict in ((reach + 0.001, "yes"), (reach - 0.001, "undecided")):
        assert answer(asked("equal", ["a"], ["b"], within=within), rows).verdict == verdict
    assert answer(asked("not_smaller", ["a"], ["b"], within=-bounds.low + 0.001), rows).verdict == "yes"
    plain = answer(asked("pairs", ["a"], ["b"], within=0.3), rows)
    assert (plain.verdict, plain.way) == ("no", "equal")  # what is equal is not better
    lower = ttest_ind(own, [value - 0.3 for value in other], equal_var=False, alternative="greater").pvalue
    upper = ttest_ind(own, [value + 0.3 for value in other], equal_var=False, alternative="less").pvalue
    assert plain.p == pytest.approx(max(lower, upper))
    far = [row("a", own), row("b", [value - 2 for value in other])]
    assert answer(asked("equal", ["a"], ["b"], within=0.3), far).verdict == "no"
    assert answer(asked("not_smaller", ["b"], ["a"], within=0.3), far).verdict == "no"
    assert answer(asked("pairs", ["b"], ["a"]), far).way == "worse"


def test_a_question_of_equality_says_how_much_is_equal():
    with pytest.raises(UserError, match="question 'q': rule 'equal' needs 'within'"):
        answer(asked("equal", ["a"], ["b"]), [])


def test_questions_of_a_chapter_are_judged_together():
    # p values of 0.02, 0.03 and near 1 by Student's t with one pair of rows each: by Holm 0.06, 0.06 and 1.
    from scipy.stats import t

    def shifted(name, p):
        centre = t.isf(p / 2, 2) / math.sqrt(3)  # of three differences with a spread of 1
        return row(name, [80 - centre - 1, 90 - centre, 70 - centre + 1])

    rows = {r.id: r for r in [row("a", [80.0, 90.0, 70.0]), *map(shifted, "bcd", (0.02, 0.03, 0.9))]}
    found = answers.answers([asked("pairs", ["a"], [name], paired=True) for name in "bcd"], rows)
    assert [f.p for f in found] == pytest.approx([0.02, 0.03, 0.9]) and [f.adjusted for f in found] == pytest.approx(
        [0.06, 0.06, 0.9]
    )
    assert [f.verdict for f in found] == ["yes", "yes", "undecided"] and {f.holm for f in found} == {"undecided"}


def test_protocols_are_not_mixed():
    """Two rows of which one has both kinds of runs: judged where both have some, the paper's protocol before the short one."""
    both, brief = row("a", [92.0, 92.2, 80.0, 80.2]), row("b", [70.0, 70.2])
    for state in (*both.states[2:], *brief.states):
        state.result["run"]["train"]["protocol"] = "short"
    found = answer(asked("pairs", ["a"], ["b"]), [both, brief])
    assert found.difference.value == pytest.approx(10) and (found.protocol, found.runs) == ("short", 4)
    found = answer(asked("pairs", ["a"], ["b"]), [both, row("b", [91.0, 91.2])])
    assert found.difference.value == pytest.approx(1) and (found.protocol, found.runs) == ("paper", 4)
    assert answer(asked("pairs", ["a"], ["b"]), [both]).protocol is None


def searched(one, **options):
    """The row with runs whose sizes a search found."""
    search = lambda run: Search(epochs=10, recipe=run.train.recipe, parameters=200_000, options=options)
    return replace(one, states=tuple(replace(s, run=replace(s.run, search=search(s.run))) for s in one.states))


LEVELS = {"c": [85.5, 85.2, 86.0, 85.4, 85.7], "a": [86.4, 86.9, 86.6], "b": [85.9, 85.6], "d": [84.0]}


def test_many_rows_beside_one_share_their_spread_and_their_chances():
    rows = [
        row("c", LEVELS["c"]),
        searched(row("a", LEVELS["a"], macs=90_000_000)),
        row("b", LEVELS["b"]),
        row("d", LEVELS["d"]),
    ]
    found = answer(asked("any", ["c"], ["d", "b", "a"], within=0.3), rows)
    # By SciPy: pooled over c, a and b (4 + 2 + 1 degrees of freedom), three intervals that hold together.
    error = math.sqrt(sum(len(LEVELS[k]) * scipy_stats.tvar(LEVELS[k]) * (1 - 1 / len(LEVELS[k])) for k in "cab") / 7)
    half = {k: scipy_stats.t.ppf(1 - 0.025 / 3, 7) * error * math.sqrt(1 / 5 + 1 / len(LEVELS[k])) for k in "abd"}
    gaps = {k: scipy_stats.tmean(LEVELS[k]) - scipy_stats.tmean(LEVELS["c"]) for k in "abd"}
    assert [one.row.id for one in found.beside_row] == ["a", "b", "d"]
    for one in found.beside_row:
        k = one.row.id
        assert (one.gap.low, one.gap.high) == pytest.approx((gaps[k] - half[k], gaps[k] + half[k]))
    # Dunnett's own intervals are somewhat narrower: Bonferroni needs no table.
    exact = scipy_stats.dunnett(LEVELS["a"], LEVELS["b"], LEVELS["d"], control=LEVELS["c"], rng=0).confidence_interval()
    assert 0.8 < (exact.high[0] - exact.low[0]) / (2 * half["a"]) < 1
    assert found.verdict == decisions.YES and (found.compared, found.runs) == (3, 11)
    p = scipy_stats.t.sf(gaps["a"] / error / math.sqrt(1 / 5 + 1 / 3), 7)
    assert found.p == pytest.approx(3 * 2 * p)
    assert [(one.macs, one.chosen) for one in found.beside_row] == [(1.5, True), (1.0, False), (1.0, False)]
    assert found.open_words == "" and "Sizes that images chose: a +1.07" in found.because
    assert found.because.endswith("Last: d −1.56 [−2.51, −0.61].")  # ends as computed above


@pytest.mark.parametrize(
    ("others", "verdict"),
    [
        ({"a": [85.4, 85.5, 85.6], "b": [84.0, 84.1, 84.2]}, decisions.NO),  # both less than 0.3 above
        ({"a": [85.7, 85.5, 85.9], "b": [84.0, 84.1, 84.2]}, decisions.UNDECIDED),
        ({"a": [85.4, 85.5, 85.6], "b": []}, decisions.UNDECIDED),  # one was not run
        ({"a": [86.4, 86.5, 86.6], "b": []}, decisions.YES),
    ],
)
def test_none_is_better_only_where_all_were_run_and_none_can_be(others, verdict):
    rows = [row("c", [85.45, 85.5, 85.55]), *(row(k, values) for k, values in others.items())]
    assert answer(asked("any", ["c"], ["a", "b"], within=0.3), rows).holm == verdict


def test_without_a_second_run_anywhere_many_rows_have_no_intervals():
    found = answer(asked("any", ["c"], ["a", "b"], within=0.3), [row("c", [85.0]), row("a", [86.0]), row("b", [84.0])])
    assert (found.verdict, found.p, found.because) == (
        decisions.UNDECIDED,
        None,
        "Best: a +1.00 points. Last: b −1.00.",
    )
    nothing = answer(asked("any", ["c"], ["a"]), [row("c", [85.0]), row("a", [])])
    assert (nothing.verdict, nothing.compared) == (decisions.UNKNOWN, 0)


def test_fewer_seeds_than_were_planned_are_an_interim_look():
    rows = [row("a", [92.0, 92.2, 92.4]), row("b", [91.0, 91.2])]
    assert answer(asked("pairs", ["a"], ["b"], seeds=3), rows).interim
    assert not answer(asked("pairs", ["a"], ["b"], seeds=2), rows).interim
    assert not answer(asked("pairs", ["a"], ["b"], seeds=3), [rows[0], row("b", [])]).interim  # not a look at all


def test_an_arithmetic_or_a_search_that_a_chapter_varies_is_compared():
    other = row("b", [90.0, 90.2])
    for state in other.states:
        state.result["run"]["precision"] = "bf16"
    assert answer(asked("pairs", ["a"], ["b"]), [row("a", [92.0, 92.2]), other]).protocol == "paper"


def test_the_front_by_hand():
    rows = [row("a", [90], macs=40), row("b", [89], macs=50), row("c", [91], macs=60), row("d", [92], macs=60)]
    assert [found.id for found in front(rows)] == ["a", "d"]


CHAPTER = {
    "title": "Do sizes matter?", "kind": "chapter", "dataset": "cifar10", "text": "Against <random> sizes.",
    "questions": [
        {"id": "random", "asks": "Better than random?", "rule": "cloud", "row": ["effconv-20-0.66m"], "others": ["r1", "r2", "r3"]},
        {"id": "order", "asks": "Does the order matter?", "rule": "pairs", "row": ["effconv-20-0.66m"], "others": ["p1"]},
        {"id": "later", "asks": "And <later>?", "rule": "pairs", "row": ["effconv-20-0.66m"], "others": ["later"]},
    ],
}  # fmt: skip


def planned(tmp_path, preset="paper"):
    plan = factory.configured_plan(preset=preset)
    own = next(r for r in plan.tables["table2"].rows if r.row == "effconv-20-0.66m")
    extra = [factory.entry(name) for name in ("r1", "r2", "r3", "p1", "later")]
    runs = [run for run in plan.runs if run.place == f"cifar10/{own.row}"]
    for shown in extra[:-1]:
        runs += [factory.run_of("cifar10", shown, seed) for seed in range(1 if shown.row == "r1" else 3)]
    chapter = Entry(**{**CHAPTER, "questions": tuple(CHAPTER["questions"])}, rows=(own, *extra))
    plan = replace(plan, runs=tuple(runs), tables={**plan.tables, "sizes-matter": chapter})
    results = tmp_path / "results" / preset
    factory.fill(plan, results)
    return plan, results


@pytest.mark.slow
def test_the_chapter_shows_answers_figures_and_costs(tmp_path):
    plan, results = planned(tmp_path)
    products.write("index", plan, results, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    part = page[page.index('id="sizes-matter"') :]
    assert "Better than random?" in part and "1 of 3 questions not run" in part and "And &lt;later&gt;?" not in part
    for figure in ("answers", "cloud-random", "permutations", "front"):
        assert f'id="sizes-matter-{figure}"' in part
    assert "&lt;random&gt;" in part and "<random>" not in page


@pytest.mark.slow
def test_made_up_images_answer_nothing(tmp_path):
    plan, results = planned(tmp_path, "smoke")
    products.write("index", plan, results, tmp_path / "out")
    assert 'id="sizes-matter"' not in (tmp_path / "out" / "index.html").read_text()
    assert not any(row.accuracy for row in rows_of(gather(plan, results)).values())


def test_the_chapters_csv_charges_the_search_to_the_row(tmp_path):
    plan, results = planned(tmp_path)
    for run in plan.runs:
        if run.search:
            factory.write_result(results, run, 92.0)
    products.write("sizes-matter", plan, results, tmp_path / "out")
    with (tmp_path / "out" / "chapters" / "sizes-matter.csv").open() as file:
        lines = {line["row"]: line for line in csv.DictReader(file)}
    # Four training epochs of 2 seconds; two of 3 for the search.
    assert (
        float(lines["effconv-20-0.66m"]["spent_total"]) == 14 and float(lines["effconv-20-0.66m"]["spent_search"]) == 6
    )
    assert float(lines["p1"]["spent_total"]) == 8 and float(lines["p1"]["spent_search"]) == 0
    assert lines["answer: later"]["verdict"] == "not measured" and lines["later"]["accuracy"] == ""
    assert float(lines["answer: order"]["low"]) < float(lines["answer: order"]["difference"])


def test_seconds_spent_are_of_one_device_that_of_most_seeds():
    def state(searched, trained, search=(3.0, 4.0)):
        record = lambda device, seconds: {"seconds_per_epoch": seconds, "provenance": {"device": device}}
        return SimpleNamespace(search=searched and record(searched, search), result=record(trained, [10.0, 10.0]))

    row = lambda *states: SimpleNamespace(done=states)
    a, b, mixed, plain = state("A", "A"), state("B", "B", (1.0, 2.0)), state("A", "B"), state(None, "A")
    assert spent(row(b, a, a, mixed)) == {"search": 7, "total": 27}
    assert spent(row(a, state("A", "A", (5.0, 6.0)))) == {"search": 9, "total": 29}
    assert spent(row(plain)) == {"search": 0, "total": 20}
    assert spent(row(mixed)) == spent(row()) == {"search": None, "total": None}
