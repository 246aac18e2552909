"""What of a record may stand beside the paper's figures: by the description that each record carries."""

import copy
import json

import pytest

from workflow.plan import config, make
from workflow.report.claims import protocols
from workflow.report.claims.protocols import OTHER, PAPER, SHORT


def planned(preset="paper", **given):
    rows = ["cifar10/effconv-20-0.66m", "cifar10/cifar-resnet-20", "imagenet32/effconv-20-0.50m", "cifar10/flexnet-16"]
    plan = make.make_plan(config.load({"preset": preset, "device": "cpu", "seeds": [0], "only": rows, **given}))
    return {run.place: run.to_json() for run in plan.runs}


@pytest.fixture(scope="module")
def paper():
    return planned()


@pytest.fixture
def effconv(paper):
    return copy.deepcopy(paper["cifar10/effconv-20-0.66m"])


def test_the_papers_protocol(paper):
    """164 epochs of batches of 128, searches of 10 and, on ImageNet-32, 5 epochs: He et al. (2016) and the paper's settings."""
    assert (
        paper["cifar10/effconv-20-0.66m"]["train"]["recipe"]["epochs"],
        paper["imagenet32/effconv-20-0.50m"]["search"]["epochs"],
    ) == (164, 5)
    assert {protocols.protocol_of(run) for run in paper.values()} == {PAPER}
    assert all(map(protocols.paper_sizes, paper.values()))


@pytest.mark.parametrize(
    ("stage", "change", "accuracy", "sizes"),
    [
        ("recipe", {"epochs": 163}, OTHER, True),
        ("recipe", {"epochs": 165}, OTHER, True),
        ("recipe", {"batch_size": 64}, OTHER, True),
        ("recipe", {"batch_size": 256}, OTHER, True),
        ("train", {"images": 20_000}, OTHER, True),
        ("train", {"protocol": "short"}, SHORT, True),
        ("train", {"protocol": "another"}, OTHER, True),
        ("train", {"protocol": "tenfold"}, OTHER, True),
        ("recipe", {"name": "forgotten"}, OTHER, False),
        ("search", {"epochs": 9}, OTHER, False),
        ("search", {"epochs": 11}, OTHER, False),
        ("search", {"images": 20_000}, OTHER, False),
        ("search recipe", {"batch_size": 64}, OTHER, False),
        ("search recipe", {"batch_size": 256}, OTHER, False),
        ("search", {"options": {"lr_size_predictor": 0.03}}, OTHER, False),  # a printed value
        ("search", {"options": {"lr_size_predictor": 3e-5}}, OTHER, False),
        ("search", {"options": {"kernel_predictor": "projected", "mask_centre": "centred"}}, PAPER, True),  # left open
        (None, {"precision": "bf16"}, OTHER, True),
        (None, {"precision": "tf32"}, OTHER, True),
        (None, {"compile": True}, OTHER, True),
        (None, {"data": "data/prepared/synthetic-cifar10-32-20"}, OTHER, False),
    ],
)
def test_what_changes_the_protocol(effconv, stage, change, accuracy, sizes):
    places = {
        None: effconv, "train": effconv["train"], "search": effconv["search"], "recipe": effconv["train"]["recipe"],
        "search recipe": effconv["search"]["recipe"],
    }  # fmt: skip
    places[stage].update(change)
    assert (protocols.protocol_of(effconv), protocols.paper_sizes(effconv)) == (accuracy, sizes)
    ours = (
        stage not in ("train", "recipe") and "data" not in change
    )  # arithmetic and search, which a chapter may vary on purpose
    assert protocols.training_of(effconv) == (PAPER if ours else accuracy)


def test_a_shortened_search_makes_the_short_protocol_none(effconv):
    effconv["train"]["protocol"] = "short"
    effconv["search"]["epochs"] = 2
    assert protocols.protocol_of(effconv) == OTHER


def test_sizes_that_training_ends_with_need_the_whole_training(paper):
    flexnet = copy.deepcopy(paper["cifar10/flexnet-16"])
    assert flexnet["search"] is None and protocols.paper_sizes(flexnet)
    flexnet["train"]["protocol"] = "short"
    assert not protocols.paper_sizes(flexnet)
    flexnet["train"].update(protocol="paper", recipe={**flexnet["train"]["recipe"], "epochs": 10})
    assert not protocols.paper_sizes(flexnet)


def test_a_smoke_run_is_no_protocol():
    for run in planned("smoke").values():
        assert protocols.protocol_of(run) == OTHER and not protocols.paper_sizes(run)


TIMING = {
    "batch_size": 128, "device": "Example GPU", "clocks_agree": True,
    "segments": [
        {"stage": "search", "weight": 1.0, "seconds_per_epoch": 40.0, "low": 38.0, "high": 44.0, "images_per_second": 1250.0},
        {"stage": "train", "weight": 1.0, "seconds_per_epoch": 10.0, "low": 9.0, "high": 12.0, "images_per_second": 5000.0},
    ],
}  # fmt: skip


def test_seconds_are_weighted_by_the_papers_epochs(effconv):
    """10 epochs of search at 40 s and 164 of training at 10 s: (400 + 1640) / 174, whatever the run's own epochs are."""
    effconv["train"]["protocol"] = "short"
    found = protocols.seconds_of(effconv, TIMING)
    assert (found.value, found.low, found.high) == pytest.approx((2040 / 174, (380 + 1476) / 174, (440 + 1968) / 174))


def test_segments_count_by_their_weights():
    parts = [
        {**TIMING["segments"][1], "weight": weight, "seconds_per_epoch": seconds}
        for weight, seconds in ((1, 10), (2, 41))
    ]
    assert protocols.mean_of(parts, "train") == pytest.approx(92 / 3)
    assert protocols.mean_of(parts, "search") is None


def test_seconds_of_training_alone_where_the_search_was_not_timed(effconv):
    assert protocols.seconds_of(effconv, {"segments": TIMING["segments"][1:]}).value == pytest.approx(10)


@pytest.mark.parametrize(
    ("timing", "alone"),
    [
        ({}, True),
        ({"clocks_agree": True}, True),
        ({"clocks_agree": False}, False),
        ({"foreign_gpu_processes": 1}, False),
    ],
)
def test_what_is_known_to_have_run_beside_a_timing(timing, alone):
    assert protocols.alone(timing) is alone


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"batch_size": 16}, "timed at another batch size than its recipe's"),
        ({"batch_size": 256}, "timed at another batch size than its recipe's"),
        (
            {"segments": [{"stage": "train", "weight": 1.0, "seconds_per_epoch": 7.0}]},
            None,
        ),  # it does not say how many images
        (
            {"segments": [{**TIMING["segments"][1], "seconds_per_epoch": 15.0}]},
            "timed on epochs of another number of images than the data set has",
        ),
        ({"device": "cpu"}, "timed on a device without a name"),
        ({"device": "cpu", "provenance": {"cpu": "Example CPU"}}, None),
        ({"clocks_agree": False}, "timed while something else ran"),
        (
            {"segments": [{**TIMING["segments"][1], "seconds_per_epoch": 0.0128}]},
            "timed on epochs of another number of images than the data set has",
        ),
    ],
)
def test_what_makes_seconds_comparable(effconv, change, why):
    effconv["data"] = "data/prepared/synthetic-cifar10-32-20"  # the pixels do not matter
    assert protocols.why_not_timed_alike(effconv, {**TIMING, **change}) == why


def test_seconds_are_of_one_pass_where_an_epoch_has_two():
    """ImageNet-32 has 1,281,167 training images; an epoch of WRN-28-1's recipe shows each twice (Chrabaszcz et al.)."""
    run = planned(only=["imagenet32/wrn-28-1"])["imagenet32/wrn-28-1"]
    assert run["train"]["recipe"]["flip"] == "both"
    timed = lambda images: {
        **TIMING, "batch_size": run["train"]["recipe"]["batch_size"],
        "segments": [{**TIMING["segments"][1], "seconds_per_epoch": 200.0, "images_per_second": images / 200}],
    }  # fmt: skip
    assert protocols.why_not_timed_alike(run, timed(1_281_167)) is None
    assert "another number of images" in protocols.why_not_timed_alike(run, timed(1_281_167 / 2))


def test_the_printed_options_are_the_librarys_defaults():
    from effconv import SearchOptions

    assert {name: getattr(SearchOptions(), name) for name in protocols.PRINTED} == protocols.PRINTED


def test_a_description_travels_as_json(effconv):
    assert protocols.protocol_of(json.loads(json.dumps(effconv))) == PAPER
