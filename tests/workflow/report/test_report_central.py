"""The first screen: the headline by rule from the answers, so that it changes when the records do; the assay; the central figure."""

import shutil
from dataclasses import replace

import pytest
import report_factory as factory

from workflow.plan.plan import Entry
from workflow.report import products
from workflow.report.chapters.central import central
from workflow.report.figures import lines_of
from workflow.report.results import gather

ROWS = ("eff", "permuted", "budget", "rising", "draws")
QUESTIONS = (
    {"id": "permuted", "asks": "Better than permuted?", "rule": "pairs", "paired": True, "seeds": 5, "within": 0.3, "family": "0.20M",
     "row": ["eff"], "others": ["permuted"]},
    {"id": "budget", "asks": "Equal to the budget's?", "rule": "equal", "seeds": 5, "within": 0.3, "family": "0.20M",
     "row": ["eff"], "others": ["budget"]},
    {"id": "random", "asks": "Better than random?", "rule": "cloud", "family": "draws", "row": ["eff"], "others": ["draws"]},
    {"id": "rising", "asks": "Better than rising?", "rule": "pairs", "seeds": 3, "family": "assay",
     "row": ["eff"], "others": ["rising"]},
)  # fmt: skip
SEEDS = [-0.10, -0.05, 0.0, 0.05, 0.10]


def planned(tmp_path, **means):
    """A plan with the chapter, and five short seeds a row at these means."""
    entries = tuple(factory.entry(name, draws=True) if name == "draws" else factory.entry(name) for name in ROWS)
    plan = factory.configured_plan(preset="short", seeds=range(5))
    chapter = Entry(
        kind="chapter", title="Sizes?", dataset="cifar10", text="Do they?", questions=QUESTIONS, rows=entries
    )
    runs = [factory.run_of("cifar10", entry, seed, protocol="short") for entry in entries for seed in range(5)]
    plan = replace(plan, tables={**plan.tables, "central": chapter}, runs=(*plan.runs, *runs))
    for run in runs:
        if run.row in means:
            factory.write_result(
                tmp_path / "short", run, means[run.row] + SEEDS[run.seed] * (3 if run.row == "draws" else 1)
            )
    return plan, tmp_path / "short"


def found(tmp_path, **means):
    return central(gather(*planned(tmp_path, **means)))


@pytest.mark.parametrize(
    ("permuted", "budget", "rising", "headline"),
    [
        (82.0, 82.0, 80.0, "Learned kernel sizes beat all 2 controls"),
        (84.0, 83.0, 80.0, "Learned kernel sizes lose to 1 of 2 controls (permuted) and beat none, equal to 1"),
        (82.0, 84.0, 80.0, "Learned kernel sizes beat 1 of 2 controls and lose to 1"),
        (83.0, 83.0, 80.0, "Learned kernel sizes are as good as 2 controls, and no better"),
        (83.0, 83.0, 83.0, "Learned kernel sizes: this assay is blind, it sees no gap where there must be one"),
    ],
)
def test_the_headline_follows_the_records(tmp_path, permuted, budget, rising, headline):
    assert found(tmp_path, eff=83.0, permuted=permuted, budget=budget, rising=rising).headline == headline


@pytest.mark.parametrize(
    ("control", "headline"),
    [
        (84.0, "Learned kernel sizes lose to permuted; 1 of 2 controls not run"),
        (82.0, "Learned kernel sizes beat permuted; 1 of 2 controls not run"),
        (83.0, "Learned kernel sizes are as good as permuted, and no better; 1 of 2 controls not run"),
        (83.2, "Learned kernel sizes lose to permuted; 1 of 2 controls not run"),  # seed by seed without spread
    ],
)
def test_a_lone_control_is_named_and_what_was_not_run_is_said(tmp_path, control, headline):
    assert found(tmp_path, eff=83.0, permuted=control).headline == headline


def test_nothing_measured_is_said(tmp_path):
    question = found(tmp_path)
    assert question.headline == "Do learned kernel sizes matter? Not measured yet" and question.first is None
    assert lines_of("contrasts", gather(*planned(tmp_path))) == []


def test_contrasts_have_both_intervals_and_the_seeds(tmp_path):
    question = found(tmp_path, eff=83.0, permuted=82.9, budget=83.0, rising=80.0, draws=82.5)
    first = question.families["0.20M"][0]
    assert first.answer.paired and first.seeds == pytest.approx([0.1] * 5)
    assert question.families["0.20M"][1].word == "equal" and question.assay[0].word == "better"
    (cloud,) = question.clouds
    # Five draws of deviation 3 x 0.0791 and five seeds of 0.0791 leave sqrt(9 - 1) x 0.0791 between sizes.
    assert len(cloud.draws) == 5 and cloud.spread.between.value == pytest.approx(0.0790569 * 8**0.5, rel=1e-4)


def test_the_headlines_interval_is_of_a_contrast_that_has_one(tmp_path):
    plan, results = planned(tmp_path / "equal", eff=83.0, permuted=83.0, budget=84.0)
    assert central(gather(plan, results)).first.label == "budget"  # which the headline says is lost to
    plan, results = planned(tmp_path, eff=83.0, permuted=82.0, budget=84.0)
    assert central(gather(plan, results)).first.label == "permuted"
    for seed in range(1, 5):
        shutil.rmtree(results / "runs" / "cifar10" / "permuted" / f"seed{seed}")
    assert central(gather(plan, results)).first.label == "budget"
    shutil.rmtree(results / "runs" / "cifar10" / "budget")
    assert central(gather(plan, results)).first.label == "permuted"


def without(planned, row, seeds):
    """The same with some seeds of a row not run."""
    for seed in seeds:
        shutil.rmtree(planned[1] / "runs" / "cifar10" / row / f"seed{seed}")
    return planned


def page_of(plan, results, tmp_path):
    products.write("index", plan, results, tmp_path / "out")
    return (tmp_path / "out" / "index.html").read_text()


LONE = {"eff": 83.0, "permuted": 83.0, "budget": 83.0, "rising": 80.0}
FEWER = {"eff": 83.0, "permuted": 82.0, "budget": 83.0, "rising": 80.0}


def test_a_positive_control_with_one_seed_does_not_make_the_assay_blind(tmp_path):
    question = central(gather(*without(planned(tmp_path, **LONE), "rising", range(1, 5))))
    assert not question.blind and question.headline.startswith("Learned kernel sizes are as good as 2 controls")


@pytest.mark.slow
def test_the_page_says_that_one_seed_has_no_interval(tmp_path):
    page = page_of(*without(planned(tmp_path, **LONE), "rising", range(1, 5)), tmp_path)
    assert "no interval yet" in page and "no gap" not in page


@pytest.mark.slow
def test_the_page_tells_a_gap_that_is_undecided_from_none(tmp_path):
    plan, results = planned(tmp_path, **LONE)
    for run in plan.runs:
        if run.row == "rising":
            factory.write_result(results, run, 81.0 + 40 * SEEDS[run.seed])  # 2 points below, spread 3.2
    first = page_of(plan, results, tmp_path).partition('id="findings"')[0]
    assert ">undecided</span>" in first and ">no gap<" not in first and "gap seen" not in first


def test_fewer_seeds_than_were_fixed_beforehand_are_an_interim_look(tmp_path):
    made = planned(tmp_path, **FEWER)
    assert central(gather(*made)).interim == []
    assert [contrast.label for contrast in central(gather(*without(made, "permuted", (3, 4)))).interim] == ["permuted"]


@pytest.mark.slow
def test_the_page_says_that_it_is_an_interim_look(tmp_path):
    plan, results = without(planned(tmp_path, **FEWER), "permuted", (3, 4))
    mask = {**QUESTIONS[0], "id": "mask", "asks": "Is its mask better?", "family": "mask"}
    chapter = replace(plan.tables["central"], questions=(*QUESTIONS, mask))
    for run in plan.runs:
        if run.row == "eff" or run.row == "permuted" and run.seed < 3:  # of the same sizes from two seeds
            factory.write_result(results, run, 83.0, sizes=[3, 3] if run.row == "eff" or run.seed else [3, 4])
    page = page_of(replace(plan, tables={**plan.tables, "central": chapter}), results, tmp_path)
    further = page[page.index('id="central-mask"') :]
    assert (
        "Their sizes differ in 0.33 of 2 layers, in none in 2 of 3 seeds: there both"
        in further[: further.index("</p>")]
    )
    assert "An interim look: 5 and 3 seeds of 5 planned." in further[: further.index("</p>")]
    assert "an interim look: 5 and 3 seeds of 5 planned" in page[: page.index('id="findings"')]
    assert "An interim look: fewer seeds than were fixed beforehand lie behind 1 of 3 contrasts." in page


def test_seeds_in_which_both_sides_have_the_same_sizes_are_counted(tmp_path):
    plan, results = planned(tmp_path, eff=83.0, budget=83.0)
    assert central(gather(plan, results)).families["0.20M"][1].alike == "same parameters and MACs"
    for run in plan.runs:
        if run.row in ("eff", "budget"):
            last = 3 if run.row == "eff" and run.seed > 1 else 2
            factory.write_result(results, run, 83.0, sizes=[3] * 17 + [last])
    contrast = central(gather(plan, results)).families["0.20M"][1]
    # Three seeds differ in one layer: 3 / 5 in the mean. Ten runs, two of which another repeats.
    assert contrast.sizes_apart == (
        "sizes differ in 0.6 of 18 layers, in none in 2 of 5 seeds: there both sides train the same network"
    )
    assert contrast.runs == "10 runs, 8 of them different"


def test_a_control_of_other_counts_says_by_how_much(tmp_path):
    plan, results = planned(tmp_path, eff=83.0, permuted=82.0, budget=84.0)
    for run in plan.runs:
        if run.row == "budget":
            factory.write_result(results, run, 84.0 + SEEDS[run.seed], parameters=366_822, macs=40_813_184)
    question = central(gather(plan, results))
    assert question.families["0.20M"][1].alike == "same MACs, ×1.36 parameters"  # 366,822 / 269,722
    for run in plan.runs:
        if run.row == "permuted":
            factory.write_result(results, run, 83.0 + SEEDS[run.seed])
    headline = "Learned kernel sizes lose to 1 of 2 controls (budget of ×1.36 parameters) and beat none, equal to 1"
    assert central(gather(plan, results)).headline == headline


def test_planned_seeds_are_the_questions_whatever_preset_is_looked_at(tmp_path):
    plan, results = planned(tmp_path, eff=83.0, permuted=82.0)
    for seed in (3, 4):
        shutil.rmtree(results / "runs" / "cifar10" / "permuted" / f"seed{seed}")
    fewer = replace(plan, runs=tuple(run for run in plan.runs if run.seed < 3))
    assert [contrast.label for contrast in central(gather(fewer, results)).interim] == ["permuted"]


def test_holm_counts_what_is_planned_and_not_measured(tmp_path):
    plan, results = planned(tmp_path, eff=83.0, permuted=82.98, budget=83.1)
    alone, both = (
        central(gather(plan, results)).families["0.20M"][1].answer
        for plan, results in (planned(tmp_path / "alone", eff=83.0, budget=83.1), (plan, results))
    )
    assert alone.adjusted == pytest.approx(2 * alone.p) and alone.planned == both.planned == 2


def test_controls_of_equal_parameters_bound_what_sizes_can_do(tmp_path):
    plan, results = planned(tmp_path, eff=83.0, permuted=82.9, budget=84.0)
    for run in plan.runs:
        if run.row == "permuted":
            factory.write_result(results, run, 82.9 + SEEDS[run.seed], macs=20_406_592)  # half of the others'
    count, largest, reach, macs = central(gather(plan, results)).equal_parameters
    assert macs == pytest.approx([0.5, 1.0])
    # The second, unpaired: 1 point and Student's 2.306 (8 degrees) x 0.0790569 x the root of 2 / 5.
    assert (count, largest, reach) == (2, pytest.approx(1.0), pytest.approx(1 + 2.306 * 0.0790569 * 0.4**0.5, rel=1e-4))
    for run in plan.runs:
        if run.row == "budget":
            factory.write_result(results, run, 84.0 + SEEDS[run.seed], parameters=366_822)
    assert central(gather(plan, results)).equal_parameters[:2] == (1, pytest.approx(0.1))


def test_spreads_of_all_rows_are_pooled(tmp_path):
    # Two rows of five seeds with one spread each: the root of the mean of the squares, with eight degrees of freedom.
    pooled, freedom, floor = found(tmp_path, eff=83.0, permuted=82.0).pooled
    assert (pooled, freedom) == (pytest.approx(0.0790569, rel=1e-4), 8)
    assert floor == pytest.approx(100 * ((0.83 * 0.17 + 0.82 * 0.18) / 2 / 20_000) ** 0.5, rel=1e-3)


def test_a_network_that_two_rows_trained_counts_once_in_their_spread(tmp_path):
    plan, results = planned(tmp_path, eff=83.0)
    for run in plan.runs:
        if run.row in ("eff", "permuted"):  # of the same sizes from seeds 0 to 2
            sizes = [3, 3] if run.row == "eff" or run.seed < 3 else [3, 4]
            factory.write_result(results, run, 83.0 + SEEDS[run.seed] * (1 if sizes == [3, 3] else 2), sizes=sizes)
    pooled, freedom, _ = central(gather(plan, results)).pooled
    # Five values of squares 0.025 about their mean, and 83.1 and 83.2, of 0.005: the root of 0.03 over 4 + 1.
    assert (pooled, freedom) == (pytest.approx((0.03 / 5) ** 0.5, rel=1e-4), 5)


def test_draws_that_were_not_measured_are_not_drawn(tmp_path):
    question = found(tmp_path, eff=83.0, permuted=82.0, budget=83.0, rising=80.0)
    assert question.clouds == []
    lines = lines_of("contrasts", gather(*planned(tmp_path, eff=83.0, permuted=82.0, budget=83.0, rising=80.0)))
    assert {line["part"] for line in lines} == {"0.20M", "assay"}


@pytest.mark.slow
def test_the_page_opens_on_it(tmp_path):
    plan, results = planned(tmp_path, eff=83.0, permuted=82.0, budget=82.0, rising=80.0, draws=82.5)
    page = page_of(plan, results, tmp_path)
    first = page[page.index("<h1") : page.index('id="findings"')]
    assert "beat all 2 controls" in first and "+1.00" in first and "short 4 ep" in first and "gap seen" in first
    assert "5 random vectors" in first and "paired" in page[page.index('id="findings"') :]


@pytest.mark.slow
def test_contrasts_that_wait_say_for_how_long(tmp_path):
    plan, results = planned(tmp_path)
    timed = next(run for run in plan.runs if run.row == "eff")
    factory.write_timing(results.parent / "times", timed, 10.0)
    page = page_of(plan, results, tmp_path)
    first = page[page.index("<h1") : page.index('id="findings"')]
    # Five seeds of four epochs of 10 s a row: three controls, and with the learned row four rows.
    assert first.count("not run · 3 min") == 3 and "4 rows to run, about 13 min on Example GPU" in first
