"""What estimates rest on: a row's own seconds on this device, the median of those timed there, the self-check's rates, a guess."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.workflow.made_plans import plan_of, timing_of
from workflow.machine import gpu_pool
from workflow.overview import estimates
from workflow.overview.estimates import STARTUP, Estimates
from workflow.plan.steps import Step
from workflow.protocol.datasets import DATASETS
from workflow.records.records import timing_path, write_record
from workflow.support.errors import UserError

CARD = "NVIDIA H200"
PLAIN, WIDE = "cifar10/cifar-resnet-20", "cifar10/cifar-resnet-44"
EPOCHS = 164


@pytest.fixture
def at(tmp_path, monkeypatch):
    """at(rows, **configuration) -> estimates of the paper's protocol on a GPU called CARD; results and records in `tmp_path`."""
    monkeypatch.setattr(estimates, "device_name", lambda kind: CARD if kind == "cuda" else "A processor")

    def make(*rows, on=None, **user):
        given = {"device": "cuda", "cluster": True, "seeds": [0], **user}
        plan = plan_of(*(rows or (PLAIN, WIDE)), preset="paper", **given)
        return Estimates(plan, tmp_path / "results" / "paper", recorded=tmp_path / "recorded", device=on)

    return make


def checked(tmp_path, card=CARD, **rates):
    gpu_pool.keep(card, {"side_by_side": {}, "macs_per_second": rates}, tmp_path / "results" / "selfcheck.json")


def timed(folder, run, seconds, device=CARD, **changes):
    found = {"device": device, "provenance": {"device": device}, "precision": "fp32", "batch_size": 128, **changes}
    write_record(timing_path(folder, run.dataset, run.row), timing_of(run, train_seconds=seconds, **found))


def run_of(one, place):
    return one.plan.by_id[f"{place}/seed0"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arguments": {"wdth": 3}}, ["cannot be built", "no argument 'wdth'"]),
        (
            {"constants": replace(DATASETS["cifar10"], image_size=8), "system": "vgg5"},
            ["cannot be built", "at least 16"],
        ),
        ({"system": "resnet18", "search": True}, ["'resnet18' has no kernel sizes to learn"]),
        (
            {"search": SimpleNamespace(method="dash")},
            [
                "method 'dash' finds dilations, which system 'cifar_resnet20' does not take: choose system 'dilated_resnet20'"
            ],
        ),
    ],
)
def test_a_system_that_cannot_be_built_or_searched_is_named_with_its_row(at, changes, words):
    run = replace(run_of(at(), PLAIN), **changes)
    with pytest.raises(UserError) as caught:
        estimates.network(run)
    assert all(word in str(caught.value) for word in (PLAIN, *words)), caught.value


def train(one, place, seed=0):
    """(seconds of training without the start, what they rest on)."""
    seconds, basis = one.seconds(Step("train", f"{place}/seed{seed}"))
    return seconds - STARTUP, basis


def test_the_self_check_of_this_device_takes_the_guesss_place(at, tmp_path):
    guess, basis = train(at(), PLAIN)
    assert basis == "from MACs, rate guessed"
    expected = "hours follow from MACs at 7.5e+12 a second (a guess, perhaps wrong by a factor of several) for train."
    assert at().basis() == f"No row has been timed on {CARD}; {expected}"
    checked(tmp_path, card="NVIDIA T4", train=1e12)
    assert train(at(), PLAIN) == (guess, basis)  # another card's says nothing
    checked(tmp_path, train=7.5e11, growing=1.5e11)  # a tenth of the guess, 7.5e12; a fiftieth
    assert train(at(), PLAIN) == (pytest.approx(10 * guess), "from MACs, rate checked")
    assert "7.5e+11 a second (measured by the self-check of this device) for train" in at().basis()
    assert "1.5e+11 a second" in at("cifar10/flexnet-3").basis()


def test_each_kind_of_job_has_its_own_rate_and_borrows_where_it_has_none(at, tmp_path):
    row = "cifar10/effconv-20-0.66m"
    checked(tmp_path, **{"train": 4e12, "train, bf16": 8e12, "search": 1e12})
    search = lambda **user: at(row, search_options={"kernel_predictor": "projected"}, **user)
    (run,) = search().plan.runs
    assert [search().rate(run, stage).macs for stage in ("train", "search")] == [4e12, 1e12]
    (literal,) = at(row).plan.runs
    assert at(row).rate(literal, "search").macs == 4e12  # not measured: as training
    assert train(at(precision="bf16"), PLAIN)[0] == pytest.approx(train(at(), PLAIN)[0] / 2)


def test_a_row_timed_on_this_device_costs_its_own_seconds_and_the_others_follow(at, tmp_path):
    plain, wide = (run_of(at(), place) for place in (PLAIN, WIDE))
    checked(tmp_path, train=1e9)
    timed(tmp_path / "results" / "times", plain, 2.0)
    one = at()
    assert train(one, PLAIN) == (EPOCHS * 2.0, f"timed on {CARD}")
    # By hand: 40,551,040 multiply-accumulates an image of ResNet-20, and 24 convolutions of 2,359,296 more in ResNet-44.
    more = 24 * 2_359_296
    assert train(one, WIDE) == (pytest.approx(EPOCHS * 2.0 * (1 + more / 40_551_040)), "from MACs, rate timed")
    assert one.basis().startswith(f"1 of 2 rows have been timed (timed on {CARD}); the others follow from MACs at ")
    assert "(the median of those that were timed) for train" in one.basis()
    timed(tmp_path / "recorded" / "h200-times", wide, 5.0)
    assert train(at(), WIDE) == (EPOCHS * 5.0, f"timed on {CARD}") and at().basis().endswith(f"(timed on {CARD}).")


def test_another_devices_seconds_count_only_where_nothing_is_known_of_this_one(at, tmp_path):
    plain = run_of(at(), PLAIN)
    timed(tmp_path / "recorded" / "h100-times", plain, 3.0, device="NVIDIA H100")
    assert train(at(), PLAIN) == (EPOCHS * 3.0, "timed on NVIDIA H100")
    assert train(at(on="H100"), PLAIN) == (EPOCHS * 3.0, "timed on NVIDIA H100")
    assert train(at(on="A100"), PLAIN)[1] == "from MACs, rate guessed"
    assert train(at(device="cpu", cluster=False), PLAIN)[1] == "from MACs, rate guessed"
    checked(tmp_path, train=4e12)
    assert train(at(), PLAIN)[1] == "from MACs, rate checked"
    assert train(at(on="h200"), PLAIN)[1] == "from MACs, rate checked"


@pytest.mark.parametrize("changes", [{"precision": "bf16"}, {"batch_size": 64}])
def test_a_timing_in_other_arithmetic_or_batches_is_another_rows(at, tmp_path, changes):
    plain = run_of(at(), PLAIN)
    timed(tmp_path / "recorded" / "h200-times", plain, 3.0, **changes)
    assert train(at(), PLAIN)[1] == "from MACs, rate guessed"
