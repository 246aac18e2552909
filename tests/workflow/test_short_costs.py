"""The short preset's seeds and hours, what generated kernels cost, and both recipes of WRN-28-1."""

from dataclasses import replace

import pytest

import baselines
from workflow.overview.estimates import Estimates, network
from workflow.overview.generated_kernels import training_macs
from workflow.overview.plan_listing import costs, print_brief, summary
from workflow.plan.config import load
from workflow.plan.make import make_plan
from workflow.support.errors import UserError

H100 = {"preset": "short", "device": "cuda", "cluster": True}


@pytest.fixture(scope="module")
def short():
    """As if every data set were here."""
    return replace(make_plan(load(H100)), unavailable={})


def test_heavy_rows_have_three_seeds_and_the_others_five(short):
    seeds = {}
    for run in short.runs:
        seeds.setdefault(run.place, []).append(run.seed)
    for heavy in ("mnist/flexnet-16", "cifar10/ckcnn-16", "cifar10/njetnet-allcnn", "cifar10/dcn-sigma-ji",
                  "cifar10/cifar-resnet-44-flexconv", "imagenet32/effconv-20-0.50m"):  # fmt: skip
        assert seeds[heavy] == [0, 1, 2]
    assert seeds["cifar10/cifar-resnet-44"] == seeds["stl10/effconv-20-0.66m"] == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="fewer_seeds"):
        load({**H100, "fewer_seeds": {"rows": []}})


def test_seeds_that_a_user_gives_are_all_run():
    given = {**H100, "only": ["cifar10/ckcnn-16"], "seeds": [0, 1, 2, 3, 9]}
    seeds = lambda **more: [run.seed for run in make_plan(load({**given, **more})).runs]
    assert seeds() == [0, 1, 2, 3, 9]
    assert seeds(fewer_seeds={"seeds": 2}) == [0, 1]  # of the preset's rows


@pytest.mark.slow
def test_everything_takes_eight_gpu_hours_or_fewer_by_estimate(short, tmp_path):
    estimates = Estimates(short, tmp_path, recorded=tmp_path)
    cost = costs(short, tmp_path, estimates)
    total = sum(cost[run.id][0] for run in short.runs if run.place in short.report_rows)
    assert 4 < total / 3600 <= 8
    first, longest, basis = summary(short, cost, estimates)
    assert (
        first.startswith(f"{len([r for r in short.runs if r.place in short.report_rows])} of ")
        and " h one after" in first
    )
    assert longest.startswith("Longest: cifar10/dcn-sigma-ji") and "7.5e+12 a second" in basis


def test_a_named_device_is_taken_for_a_gpu_whatever_is_here(tmp_path):
    given = {"preset": "short", "device": "cpu", "only": ["cifar10/cifar-resnet-20"], "seeds": [0]}
    plan = make_plan(load(given))
    here, there = (Estimates(plan, tmp_path, recorded=tmp_path, device=device) for device in (None, "H100"))
    (run,) = plan.runs
    assert (here.kind, there.kind) == ("cpu", "cuda") and here.rate(run).macs < there.rate(run).macs / 50
    assert "named 'H100'" in there.basis()


@pytest.mark.slow
def test_the_first_lines_name_the_hours_and_the_longest_rows(tmp_path, capsys):
    plan = make_plan(
        load({"preset": "short", "device": "cpu", "only": ["cifar10/cifar-resnet-*", "cifar10/flexnet-3"]})
    )
    assert print_brief(plan, tmp_path) == 0
    first, longest, _ = capsys.readouterr().out.splitlines()
    # ResNet-20, 32, 44 with five seeds; FlexNet-3, CKConv and FlexConv in ResNet-44 with three.
    assert first.startswith("24 of 24 runs to do on cpu: about ") and longest.startswith("Longest: cifar10/")
    assert print_brief(plan, tmp_path, device="H100") == 0
    assert capsys.readouterr().out.startswith("24 of 24 runs to do on cuda: about ")


def test_a_convolution_costs_what_is_counted_on_the_network_itself():
    """CKCNN-16's kernels never grow: by direct convolution a training costs the 21,133.1 million that a forward pass counts."""
    build = lambda **options: (
        lambda: baselines.build("ckcnn16", in_channels=3, num_classes=10, image_size=32, **options)
    )
    assert training_macs(build(), (3, 32, 32)) == pytest.approx((21_133.1e6, 21_133.1e6), rel=1e-5)
    assert training_macs(build(backend="fft"), (3, 32, 32))[1] < 21_133e6 / 5


def test_growing_kernels_cost_more_than_at_the_start():
    build = lambda: baselines.build("flexnet5", in_channels=3, num_classes=10, image_size=32)
    start, mean = training_macs(build, (3, 32, 32))
    assert start == pytest.approx(327.8e6, rel=1e-3) and mean > 3 * start


def test_wrn_and_wide_effconv_have_both_recipes(short):
    recipes = {run.place: run.train.recipe.name for run in short.runs}
    assert recipes["cifar10/wide-effconv-28-1-0.66m"] == recipes["cifar10/wrn-28-1"] == "wrn_sgd"
    assert recipes["cifar10/wide-effconv-28-1-0.66m-common"] == recipes["cifar10/wrn-28-1-common"] == "resnet_sgd"
    assert recipes["imagenet32/wrn-28-1-common"] == "resnet_sgd" and recipes["imagenet32/wrn-28-1"] == "imagenet32_wrn"
    first = {run.place: run for run in reversed(short.runs)}
    # By hand: 594 weights in the stem, 26,136, 95,832 and 383,328 in the stages, 890 in the classifier, 1,892 of normalisation.
    assert network(first["cifar10/macs-3x3-20-0.66m"])[:2] == (508_672, 76_438_384)
    controls = [row.row for row in short.tables["controls"].rows]
    assert "macs-3x3-20-0.66m" in controls
