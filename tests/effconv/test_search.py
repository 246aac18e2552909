"""The search step: gradients to every size, budgets met, exact resumption, the rule for final sizes, the data-free control."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F

from effconv import (
    KernelSizeSearch,
    SearchOptions,
    cifar_resnet,
    count_macs,
    count_parameters,
    learn_kernel_sizes,
    modulation_mask,
)

SHAPE = (3, 16, 16)


def network(depth=8, widths=(4, 4, 8), **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cifar_resnet(depth, widths=widths, **options)


def images(count=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *SHAPE, generator=generator), torch.randint(0, 10, (count,), generator=generator)


def search_of(model=None, *, seed=0, budget=None, **options):
    options.setdefault("kernel_predictor", "projected")
    return KernelSizeSearch(
        model or network(), input_shape=SHAPE, parameters=budget, options=SearchOptions(**options), seed=seed
    )


def steps(search, optimizer, first, last):
    for step in range(first, last):
        x, y = images(seed=step)
        loss = F.cross_entropy(search(x), y) + search.penalty()
        optimizer.zero_grad()
        loss.backward()
        search.after_backward()
        optimizer.step()
    return search


@pytest.mark.parametrize("kernel_predictor", ["literal", "projected"])
@pytest.mark.parametrize("size_predictor", ["gru", "gru-step", "free"])
@pytest.mark.parametrize("mask_centre", ["printed", "centred", "soft-centred"])
def test_the_classification_loss_reaches_every_size(kernel_predictor, size_predictor, mask_centre):
    search = search_of(
        kernel_predictor=kernel_predictor, size_predictor=size_predictor, mask_centre=mask_centre, record_every=1
    )
    x, y = images()
    F.cross_entropy(search(x), y).backward()
    search.after_backward()
    trajectory = search.learned().trajectory
    assert all(gradient > 0 for gradient in trajectory["gradient_loss"][0])
    assert trajectory["gradient_budget"][0] == [0.0] * 6  # the penalty was not part of the loss


def test_recorded_gradients_are_those_of_each_term():
    search = search_of(budget=4000, record_every=1)
    x, y = images()
    soft = []
    # Independently: each term's own gradient with respect to the size predictor's output, through autograd.
    original = search.size_predictor.soft
    search.size_predictor.soft = lambda: soft.append(original()) or soft[-1]
    logits = search(x)
    loss = F.cross_entropy(logits, y)
    (from_loss,) = torch.autograd.grad(loss, soft[0], retain_graph=True)
    (from_budget,) = torch.autograd.grad(search.penalty(), soft[0], retain_graph=True)
    (loss + search.penalty()).backward()
    search.after_backward()
    trajectory = search.learned().trajectory
    assert trajectory["gradient_loss"][0] == pytest.approx(from_loss.abs().tolist(), rel=1e-3)
    assert trajectory["gradient_budget"][0] == pytest.approx(from_budget.abs().tolist(), rel=1e-3)
    assert trajectory["pull_sum_loss"][0] == pytest.approx((-from_loss).tolist(), rel=1e-3)
    assert min(trajectory["pull_sum_budget"][0]) > 0  # the network is below its budget


@pytest.mark.parametrize("even_padding", ["end", "start"])
def test_equals_a_plain_network_with_the_same_kernels(even_padding):
    search = search_of(even_padding=even_padding, mask_centre="centred", size_predictor="free")
    with torch.no_grad():
        search.size_predictor.x.copy_(torch.linspace(-2, 3, 6))
    sizes = search.sizes
    assert len(set(sizes)) > 3
    plain = search.learned().apply(network())
    kernels = search.kernel_predictors(sizes)
    with torch.no_grad():
        convs = [conv for block in plain.blocks for conv in (block.conv1, block.conv2)]
        for conv, kernel, size, soft in zip(convs, kernels, sizes, search.soft_sizes, strict=True):
            conv.weight.copy_(kernel * modulation_mask(size, soft, "centred"))
    x, _ = images()
    torch.testing.assert_close(search.train()(x), plain.train()(x), rtol=1e-4, atol=1e-5)


def test_counts_are_the_deployed_networks():
    search = search_of(size_predictor="free")
    with torch.no_grad():
        search.size_predictor.x.copy_(torch.linspace(-2, 3, 6))
    plain = network(kernel_sizes=search.sizes)
    assert search.deployed_parameters() == count_parameters(plain)
    assert search.deployed_macs() == count_macs(plain, SHAPE)


def test_the_given_model_stays_as_it_is():
    model = network()
    before = copy.deepcopy(model.state_dict())
    search = search_of(model, budget=4000)
    steps(search, torch.optim.AdamW(search.parameter_groups()), 0, 2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and type(model.blocks[0].conv1).__name__ == "SameConv2d"


@pytest.mark.parametrize("final_sizes", ["closest", "last"])
def test_resumes_exactly(final_sizes):
    options = {"budget": 4000, "lr_size_predictor": 0.02, "record_every": 2, "final_sizes": final_sizes}
    whole = search_of(**options)
    steps(whole, torch.optim.AdamW(whole.parameter_groups(), fused=True), 0, 9)

    first = search_of(**options)
    optimizer = torch.optim.AdamW(first.parameter_groups(), fused=True)
    steps(first, optimizer, 0, 5)
    file = io.BytesIO()
    torch.save({"search": first.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    second = search_of(seed=1, **options)
    optimizer = torch.optim.AdamW(second.parameter_groups(), fused=True)
    second.load_state_dict(saved["search"])
    optimizer.load_state_dict(saved["optimizer"])
    steps(second, optimizer, 5, 9)

    for (name, one), other in zip(whole.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other), name
    one, other = whole.learned(), second.learned()
    assert one.sizes == other.sizes and one.chosen == other.chosen and one.trajectory == other.trajectory


@pytest.mark.parametrize("unit", ["parameters", "macs"])
@pytest.mark.parametrize("factor", [0.5, 2.4])
def test_meets_its_budget(unit, factor):
    model = network(20, (16, 32, 64))
    before = {"parameters": count_parameters(model), "macs": count_macs(model, SHAPE)}
    wanted = round(before[unit] * factor)
    learned = learn_kernel_sizes(
        model,
        [images(1)] * 90,
        **{unit: wanted},
        epochs=1,
        data_free=True,
        kernel_predictor="projected",
        lr_size_predictor=1e-3,
    )
    plain = learned.apply(model)
    counts = {"parameters": count_parameters(plain), "macs": count_macs(plain, SHAPE)}
    assert counts == {"parameters": learned.parameters, "macs": learned.macs}
    assert abs(counts[unit] / wanted - 1) < 0.02
    assert learned.before == before


def test_both_budgets_at_once():
    model = network(20, (16, 32, 64))
    reached = network(20, (16, 32, 64), kernel_sizes=[4, 5, 4] * 6)
    wanted = {"parameters": count_parameters(reached), "macs": count_macs(reached, SHAPE)}
    learned = learn_kernel_sizes(
        model,
        [images(1)] * 150,
        **wanted,
        epochs=1,
        data_free=True,
        kernel_predictor="projected",
        lr_size_predictor=1e-3,
    )
    assert abs(learned.parameters / wanted["parameters"] - 1) < 0.02 and abs(learned.macs / wanted["macs"] - 1) < 0.02


def test_data_free_ends_where_the_search_driven_with_images_does():
    # The option in any training loop (images flow, their gradient does not) and the loop without images are the same control.
    options = {"budget": 4000, "data_free": True, "lr_size_predictor": 0.01, "record_every": 1}
    driven = search_of(**options)
    steps(driven, torch.optim.AdamW(driven.parameter_groups(), fused=True), 0, 6)
    alone = learn_kernel_sizes(network(), [images()] * 6, parameters=4000, epochs=1, options=driven.options)
    assert alone.soft_sizes == driven.learned().soft_sizes
    assert all(not any(row) for row in driven.learned().trajectory["gradient_loss"])


def test_deterministic():
    run = lambda: steps(search_of(budget=4000), None, 0, 0)
    one, two = run(), run()
    for search in (one, two):
        steps(search, torch.optim.AdamW(search.parameter_groups()), 0, 3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert search_of(seed=1).soft_sizes != search_of(seed=0).soft_sizes


def test_evaluation_makes_kernels_once_and_notices_a_change():
    search = search_of(size_predictor="free").eval()
    calls = []
    search.kernel_predictors.register_forward_hook(lambda *_: calls.append(1))
    x, _ = images()
    with torch.no_grad():
        first = search(x)
        assert torch.equal(search(x), first) and len(calls) == 1
        search.size_predictor.x.add_(1.0)
        assert not torch.equal(search(x), first) and len(calls) == 2
    assert search.progress.step == 0


def closest_of(deviations):
    """The chosen step of a search whose steps deviated so from the budget, the last entry after the last step."""
    search = search_of(budget=4000)
    search.progress.budget = type("Budget", (), {"deviation": lambda self, costs, sizes: sizes[0] / 1000})()
    for deviation in deviations[:-1]:
        search.progress.note((round(deviation * 1000),) * 6, [0.0] * 6, torch.zeros(()), torch.zeros(()))
    last = [round(deviations[-1] * 1000)] * 6
    return search.progress.final(last, last)[2]


def test_final_sizes_rule():
    assert closest_of([0.5, 0.009, 0.2, 0.1]) == {"rule": "closest", "step": 2, "within": True, "deviation": 0.009}
    assert closest_of([0.5, 0.001, 0.007, 0.1])["step"] == 3  # the last within 1%, not the best
    assert closest_of([0.5, 0.001, 0.007, 0.003])["deviation"] == 0.003  # after the last step counts too
    assert closest_of([0.5, 0.02, 0.03, 0.1]) == {"rule": "closest", "step": 2, "within": False, "deviation": 0.02}


def test_budget_out_of_reach():
    with pytest.raises(ValueError, match="No kernel sizes give the whole network 10 parameters: choose a budget from"):
        search_of(budget=10)


def test_can_be_copied_between_steps():
    search = search_of(budget=4000)
    steps(search, torch.optim.AdamW(search.parameter_groups()), 0, 2)
    assert copy.deepcopy(search).soft_sizes == search.soft_sizes


def test_bfloat16_autocast_keeps_the_predictors_in_float32():
    search = search_of(budget=4000, record_every=1)
    x, y = images()
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(search(x), y) + search.penalty()
    loss.backward()
    kernels = search.kernel_predictors(search.sizes)
    assert all(kernel.dtype == torch.float32 for kernel in kernels)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in search.parameters())


def test_penalty_needs_a_forward():
    with pytest.raises(ValueError, match="call the search on a batch"):
        search_of().penalty()


def test_parameter_groups_hold_every_parameter_once():
    search = search_of()
    groups = search.parameter_groups()
    assert [(g["name"], g["lr"], g["weight_decay"]) for g in groups] == [
        ("size_predictor", 1e-4, 1e-3), ("network", 1e-4, 1e-3), ("kernel_predictor", 1e-3, 1e-3),
    ]  # fmt: skip
    listed = [parameter for group in groups for parameter in group["params"]]
    assert len(listed) == len({id(p) for p in listed}) == len(list(search.parameters()))


def test_pulls_of_all_steps_are_summed_up():
    # Two searches that differ in what they record only: the sums of one are those of the other's single steps.
    options = {"budget": 4000, "lr_size_predictor": 0.02}
    rows = []
    for every in (1, 4):
        search = search_of(record_every=every, **options)
        steps(search, torch.optim.AdamW(search.parameter_groups()), 0, 10)
        rows.append(search.learned().trajectory)
    single, sums = rows
    assert sums["step"] == [1, 5, 9] and single["step"] == list(range(1, 11))
    for source in ("loss", "budget"):
        pulls = torch.tensor(single[f"pull_sum_{source}"])
        expected = torch.stack([pulls[0], pulls[1:5].sum(0), pulls[5:9].sum(0)])
        torch.testing.assert_close(torch.tensor(sums[f"pull_sum_{source}"]), expected, rtol=1e-4, atol=1e-7)
        assert torch.tensor(single[f"gradient_{source}"]) == pytest.approx(pulls.abs(), rel=1e-3)


def test_between_two_entries_the_host_reads_no_gradient():
    search = search_of(budget=4000)
    progress = search.progress
    progress.step = 1  # the first step is an entry
    for _ in range(9):
        soft = torch.ones(6, device="meta", requires_grad=True)  # has no values: reading one raises
        reader = soft.view_as(soft)
        progress.note((3,) * 6, [3.0] * 6, reader, None)
        reader.sum().backward()
        progress.record()
    assert progress.step == 10 and progress.trajectory()["step"] == []


def test_the_sizes_after_the_last_step_stand_beside_the_others():
    search = search_of(budget=4000, lr_size_predictor=0.05)
    steps(search, torch.optim.AdamW(search.parameter_groups()), 0, 9)
    last = search.learned().last
    assert tuple(last["sizes"].values()) == search.sizes and tuple(last["soft_sizes"].values()) == search.soft_sizes
    plain = network(kernel_sizes=search.sizes)
    assert (last["step"], last["parameters"], last["macs"]) == (9, count_parameters(plain), count_macs(plain, SHAPE))
    assert last["deviation"] == pytest.approx(abs(count_parameters(plain) / 4000 - 1))
    same = search_of(budget=4000, lr_size_predictor=0.05, final_sizes="last")
    steps(same, torch.optim.AdamW(same.parameter_groups()), 0, 9)
    assert same.learned().sizes == last["sizes"] == same.learned().last["sizes"]


def test_options():
    options = SearchOptions(mask_centre="centred", k=2.0)
    assert SearchOptions.from_dict(options.to_dict()) == options
    with pytest.raises(ValueError, match="did you mean mask_centre"):
        SearchOptions.from_dict({"mask_center": "centred"})
    with pytest.raises(ValueError, match="final_sizes is 'best': choose one of closest, last"):
        SearchOptions(final_sizes="best")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kernel_predictor", ["literal", "projected"])
def test_cpu_and_cuda_agree(kernel_predictor):
    x, y = images()
    results = []
    for device in ("cpu", "cuda"):
        search = search_of(budget=4000, kernel_predictor=kernel_predictor, record_every=1).double().to(device)
        loss = F.cross_entropy(search(x.double().to(device)), y.to(device)) + search.penalty()
        loss.backward()
        results.append([loss.detach().cpu(), *(p.grad.cpu() for p in search.parameters() if p.grad is not None)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
