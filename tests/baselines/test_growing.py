"""What the training loop may ask of networks with generated kernels."""

import copy
import io

import pytest
import torch

import baselines
from baselines.growing import TRAINED_SIGMAS, trained_sigmas


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def flexnet3(image_size=8, **options):
    return baselines.build("flexnet3", in_channels=1, num_classes=4, image_size=image_size, **options)


def step(model, optimizer, images):
    optimizer.zero_grad()
    (model(images).square().mean() + model.penalty()).backward()
    optimizer.step()


@pytest.fixture
def transfers(monkeypatch):
    """How often a tensor was read on the host."""
    calls = []
    for name in ("tolist", "item", "__bool__", "__int__", "__float__", "__index__"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, _o=original, _n=name: calls.append(_n) or _o(self))
    return calls


def test_initial_sizes_of_every_network():
    assert flexnet3().kernel_sizes() == [[1, 1]] * 7  # 9 points on 8 pixels
    assert flexnet3(image_size=32).kernel_sizes() == [[5, 5]] * 7
    with torch.device("meta"):
        stl = baselines.build("flexnet16", in_channels=3, num_classes=10, image_size=96)
        ck = baselines.build("ckcnn_magnet16", in_channels=3, num_classes=10, image_size=28)
        small = baselines.build("resnet44_ckconv", in_channels=3, num_classes=10, image_size=32)
    assert stl.kernel_sizes() == [[15, 15]] * 15
    assert ck.kernel_sizes() == [[29, 29]] * 15
    assert small.kernel_sizes() == [[3, 3]] * 43
    assert not hasattr(ck, "pretend_sizes")


def test_one_transfer_a_step_for_all_layers(transfers):
    model = flexnet3()
    transfers.clear()  # building one draws from distributions, which check their arguments
    model(torch.randn(2, 1, 8, 8))
    assert transfers == ["tolist"]


def test_transfers_every_n_steps_and_at_each_change_of_mode(transfers):
    model = flexnet3(decide_every=3)
    images = torch.randn(2, 1, 8, 8)
    counts = []
    for training in (True, True, True, True, False, False, False, False, True, True):
        model.train(training)
        before = len(transfers)
        model(images)
        counts.append(len(transfers) - before)
    assert counts == [1, 0, 0, 1, 1, 0, 0, 0, 1, 0]


def test_sizes_follow_the_gaussians():
    model = flexnet3(image_size=32)
    with torch.no_grad():
        model.layers()[2].mask.copy_(torch.tensor([[0.0, 0.2], [0.0, 0.05]]))
    model(torch.randn(2, 1, 32, 32))
    assert model.kernel_sizes()[2] == [13, 3]
    assert model.kernel_sizes()[1] == [5, 5]


@pytest.mark.slow
def test_deciding_rarely_is_resumed_exactly():
    images = torch.randn(8, 1, 16, 16)

    def start():
        torch.manual_seed(1)
        model = flexnet3(image_size=16, decide_every=4)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return model, torch.optim.Adam([{"params": g["params"]} for g in model.parameter_groups(None)], lr=0.05)

    model, optimizer = start()
    for _ in range(6):
        step(model, optimizer, images)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    later, sizes = [], []
    for run in range(2):
        if run:
            model, optimizer = start()
            saved = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
        for _ in range(5):
            step(model, optimizer, images)
        later.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        sizes.append(model.kernel_sizes())
    assert torch.equal(*later)
    assert sizes[0] == sizes[1] != [[3, 3]] * 7


def test_groups_hold_every_parameter_once_and_slow_the_masks():
    model = baselines.build("flexnet16", in_channels=3, num_classes=10, image_size=32)
    network, masks = model.parameter_groups(None)
    assert len(masks["params"]) == 15
    assert masks["lr_factor"] == 0.1
    assert "lr_factor" not in network and "weight_decay" not in masks
    everything = {id(p) for p in model.parameters()}
    listed = [id(p) for group in (network, masks) for p in group["params"]]
    assert set(listed) == everything and len(listed) == len(everything)


@pytest.mark.parametrize("name", ["flexnet3", "resnet44_ckconv"])
def test_norm_penalty(name):
    model = baselines.build(name, in_channels=1, num_classes=4, image_size=8, norm_penalty=0.5)
    for layer in model.layers():
        torch.nn.init.constant_(layer.bias, 0.25)
    model(torch.randn(2, 1, 8, 8))
    expected = sum(layer.generate().square().sum().sqrt() + 0.25 * layer.out_channels**0.5 for layer in model.layers())
    assert model.penalty().item() == pytest.approx(0.5 * expected.item(), rel=1e-5)
    copy.deepcopy(model)  # nothing with a graph is left on it
    with pytest.raises(RuntimeError, match="after each forward pass"):
        model.penalty()


def test_norm_penalty_is_off_by_default_and_differentiable_at_zero_biases():
    assert flexnet3().penalty().item() == 0
    model = flexnet3(norm_penalty=1e-5)
    model(torch.randn(2, 1, 8, 8))
    model.penalty().backward()
    assert all(layer.bias.grad.isfinite().all() for layer in model.layers())
    assert model.layers()[0].kernel_net.output_weight.grad.abs().sum() > 0


def test_pretended_sizes_at_the_end_are_the_published_ones():
    model = baselines.build("flexnet16", in_channels=3, num_classes=10, image_size=32)
    model.pretend_sizes("end")
    model.decide()
    assert ", ".join(f"{h}x{w}" for h, w in model.kernel_sizes()) == (
        "9x9, 7x7, 5x7, 5x13, 7x5, 7x3, 15x11, 13x19, 15x21, 11x15, 11x21, 23x21, 33x21, 33x27, 33x33"
    )
    model.pretend_sizes("start")
    model.decide()
    assert model.kernel_sizes() == [[5, 5]] * 15


def test_pretended_sizes_in_the_middle_are_geometric_means():
    model = baselines.build("flexnet16", in_channels=3, num_classes=10, image_size=32)
    model.pretend_sizes("middle")
    assert model.layers()[14].mask.tolist() == [
        pytest.approx([0, (0.075 * 0.467) ** 0.5]),
        pytest.approx([0, (0.075 * 0.783) ** 0.5]),
    ]


def test_pretended_sizes_take_effect_at_once_and_refuse_other_positions():
    model = flexnet3(image_size=16, decide_every=100)
    images = torch.randn(2, 1, 16, 16)
    model(images)
    model.pretend_sizes("end")
    model(images)
    assert model.kernel_sizes()[-1] == [17, 17]
    with pytest.raises(ValueError, match="no position 'late': choose one of start, middle, end"):
        model.pretend_sizes("late")


def test_sigmas_of_other_depths():
    assert torch.allclose(trained_sigmas(15), torch.tensor(TRAINED_SIGMAS))
    assert torch.allclose(trained_sigmas(43)[[0, -1]], torch.tensor(TRAINED_SIGMAS)[[0, -1]])
    assert torch.allclose(
        trained_sigmas(29)[1], (torch.tensor(TRAINED_SIGMAS[0]) * torch.tensor(TRAINED_SIGMAS[1])).sqrt()
    )


@pytest.mark.parametrize("options", [{"backend": "fft"}, {"backend": "auto"}, {"crop": "after"}, {"crop": "never"}])
def test_options_reach_the_layers_and_hardly_change_the_result(options):
    images = torch.randn(2, 1, 8, 8)
    torch.manual_seed(2)
    plain = flexnet3()
    plain.pretend_sizes("end")
    torch.manual_seed(2)
    other = flexnet3(**options)
    other.pretend_sizes("end")
    for model in (plain, other):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    difference = (plain(images) - other(images)).abs().max()
    assert difference < (0.5 if options.get("crop") == "never" else 1e-3)


def test_decide_every_must_be_positive():
    with pytest.raises(ValueError, match="decide_every is 0"):
        flexnet3(decide_every=0)
