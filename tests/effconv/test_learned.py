"""Learned sizes: saving, loading, applying, drawing."""

import json
import math

import pytest
import torch
from torch import nn

from effconv import LearnedSizes, SearchOptions, cifar_resnet, draw_trajectory, learn_kernel_sizes
from effconv.trajectory import gradient_share, net_pull


def batch():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3])


@pytest.fixture(scope="module")
def learned():
    torch.manual_seed(0)
    model = cifar_resnet(8, widths=(2, 4, 4))
    options = SearchOptions(kernel_predictor="projected", even_padding="start", record_every=1)
    return learn_kernel_sizes(model, [batch()] * 3, parameters=1800, epochs=2, options=options, lr_size_predictor=0.01)


def test_save_and_load(learned, tmp_path):
    path = tmp_path / "below" / "sizes.json"
    learned.save(path)
    assert LearnedSizes.load(path) == learned
    assert [file.name for file in path.parent.iterdir()] == ["sizes.json"]
    stored = json.loads(path.read_text())
    assert stored["options"]["even_padding"] == "start" and stored["layers"] == list(learned.sizes)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "sizes": {}}'])
def test_load_refuses_other_files(tmp_path, text):
    path = tmp_path / "sizes.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="sizes.json does not hold learned sizes"):
        LearnedSizes.load(path)


def test_apply_gives_a_fresh_plain_model():
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.Conv2d(32, 32, 3, padding=1)
    )
    plain = LearnedSizes(sizes={"1": 4, "2": 5}, soft_sizes={}, parameters=1, macs=1).apply(model)
    assert [conv.weight.shape[-1] for conv in plain] == [3, 4, 5]
    assert type(plain[2]) is nn.Conv2d and plain[2].padding == (2, 2)
    assert plain(torch.zeros(1, 3, 9, 9)).shape == (1, 32, 5, 5)
    assert torch.equal(plain[0].weight, model[0].weight) and plain[0].weight is not model[0].weight
    assert torch.equal(plain[1].bias, model[1].bias) and plain[1].bias is not model[1].bias
    # the spread of the output stays: standard deviation times 3 / 5
    assert plain[2].weight.std().item() == pytest.approx(model[2].weight.std().item() * 3 / 5, rel=0.05)


def test_apply_with_a_generator_is_reproducible():
    model = cifar_resnet(8)
    one, two = (
        LearnedSizes(sizes={"blocks.0.conv1": 5}, soft_sizes={}, parameters=1, macs=1).apply(
            model, generator=torch.Generator().manual_seed(1)
        )
        for _ in range(2)
    )
    assert torch.equal(one.blocks[0].conv1.weight, two.blocks[0].conv1.weight)
    assert one.kernel_sizes == (5, 3, 3, 3, 3, 3)


def test_apply_to_another_model():
    with pytest.raises(ValueError, match="no convolution 'body'"):
        LearnedSizes(sizes={"body": 5}, soft_sizes={}, parameters=1, macs=1).apply(cifar_resnet(8))


def test_batches_that_end():
    model = cifar_resnet(8, widths=(2, 4, 4))
    with pytest.raises(ValueError, match="gone through once and 2 epochs"):
        learn_kernel_sizes(model, iter([batch()]), epochs=2, kernel_predictor="projected")
    with pytest.raises(ValueError, match="no batches"):
        learn_kernel_sizes(model, [], epochs=2)


IMAGES, LABELS = torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])


class Pair(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = cifar_resnet(8, widths=(2, 4, 4))

    def forward(self, images):
        return self.body(images), images


@pytest.mark.parametrize(
    ("batch", "model", "said"),
    [
        (IMAGES, None, "no pairs of tensors"),
        ((IMAGES, LABELS, LABELS), None, "no pairs of tensors"),
        ((IMAGES[0], LABELS[0]), None, r"shape \(3, 8, 8\)"),
        ((IMAGES.byte(), LABELS), None, "torch.uint8: give float32 images"),
        ((IMAGES.double(), LABELS), None, "torch.float64: give float32 images"),
        (
            (IMAGES, LABELS),
            cifar_resnet(8, widths=(2, 4, 4)).bfloat16(),
            "bfloat16, and kernels are predicted in float32",
        ),
        ((IMAGES, LABELS[:3]), None, "4 images and 3 labels"),
        ((IMAGES[:, :1], LABELS), None, r"cannot take images of shape \(1, 8, 8\)"),
        ((IMAGES, LABELS + 10), None, "class numbers"),  # of ten classes
        ((IMAGES, LABELS / 2), None, "torch.float32: give logits"),
        ((IMAGES, LABELS), Pair(), "returns, a tuple"),
        ((IMAGES, LABELS), torch.nn.Flatten(), "no convolution whose size can be learned"),
    ],
)
def test_batches_that_do_not_suit(batch, model, said):
    with pytest.raises(ValueError, match=said):
        learn_kernel_sizes(model or cifar_resnet(8, widths=(2, 4, 4)), [batch], epochs=1)


def test_an_error_of_ones_own_loss_stays_what_it_is():
    def loss(logits, labels):
        raise TypeError("a mistake of mine")

    with pytest.raises(TypeError, match="a mistake of mine"):
        learn_kernel_sizes(cifar_resnet(8, widths=(2, 4, 4)), [(IMAGES, LABELS)], epochs=1, loss=loss)


def test_memory_that_runs_out_is_no_fault_of_the_batch(monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch.nn.functional, "log_softmax", full)
    model = nn.Sequential(cifar_resnet(8, widths=(2, 4, 4)), nn.LogSoftmax(1))
    with pytest.raises(torch.OutOfMemoryError):
        learn_kernel_sizes(model, [(IMAGES, LABELS)], epochs=1)


@pytest.mark.parametrize(
    ("name", "said"),
    [("epoch", "did you mean epochs"), ("parameter", "did you mean parameters"), ("lamb", "did you mean lam")],
)
def test_a_misspelt_argument_is_named_beside_the_one_that_was_meant(name, said):
    with pytest.raises(ValueError, match=said):
        learn_kernel_sizes(cifar_resnet(8), [(IMAGES, LABELS)], **{name: 3})


def test_looking_at_a_loader_draws_nothing_from_it():
    generator = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(IMAGES, LABELS), batch_size=4, shuffle=True, generator=generator
    )
    orders = []
    for epochs in (1, 2):
        generator.manual_seed(0)
        seen = []
        model = nn.Sequential(cifar_resnet(8, widths=(2, 4, 4)))
        loss = lambda logits, labels, seen=seen: (
            seen.append(labels.tolist()),
            nn.functional.cross_entropy(logits, labels),
        )[1]
        learn_kernel_sizes(model, loader, epochs=epochs, loss=loss)
        orders.append(seen[0])
    assert orders[0] == orders[1]


def test_a_budget_in_words():
    with pytest.raises(ValueError, match="'0.66M': give a number"):
        learn_kernel_sizes(cifar_resnet(8), [(IMAGES, LABELS)], parameters="0.66M")


def test_what_is_printed_of_the_budget():
    model, batches = cifar_resnet(8, widths=(2, 4, 4)), [batch()] * 3
    free = str(learn_kernel_sizes(model, batches, epochs=1))
    assert "off the budget" not in free and "parameters:" in free
    last = str(learn_kernel_sizes(model, batches, epochs=1, parameters=1200, final_sizes="last"))
    assert "leave final_sizes out" in last and "search for more epochs" not in last


def test_a_save_that_fails_leaves_nothing_behind(learned, tmp_path):
    (tmp_path / "sizes.json").mkdir()
    with pytest.raises(OSError):
        learned.save(tmp_path / "sizes.json")
    assert [path.name for path in tmp_path.iterdir()] == ["sizes.json"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_draw(learned, tmp_path, suffix):
    path = tmp_path / f"trajectory.{suffix}"
    learned.draw(path)
    again = tmp_path / f"again.{suffix}"
    draw_trajectory(learned.to_dict(), again)
    assert path.read_bytes() == again.read_bytes()  # no dates, no random identifiers


def test_gradient_share_by_hand():
    trajectory = {
        "step": [1, 2],
        "gradient_loss": [[9.0, 9.0], [1.0, 0.0]],
        "gradient_budget": [[0.0, 0.0], [3.0, 0.0]],
    }
    assert gradient_share(trajectory) == [0.25, 0.0]
    assert gradient_share(trajectory, last=1.0) == [10 / 13, 1.0]


def test_net_pull_by_hand():
    trajectory = {
        "step": [1, 11, 21, 26],
        "pull_sum_loss": [[9.0], [10.0], [30.0], [10.0]],
        "pull_sum_budget": [[9.0], [5.0], [-5.0], [0.0]],
    }
    net = net_pull(trajectory, last=1.0)  # the first entry is one step: 25 steps are left
    # Batches of 10, 10 and 5 steps: mean 50 / 25, residuals 10 - 20, 30 - 20, 10 - 10; error sqrt(200 * 3 / 2) / 25.
    assert net["loss"] == [(2.0, pytest.approx(math.sqrt(300) / 25))]
    assert net["budget"] == [(0.0, pytest.approx(math.sqrt(75) / 25))]
    assert net_pull(trajectory)["loss"][0][0] == 40 / 15
    for unusable in ({**trajectory, "step": [1, 11]}, {"step": [1, 2, 3], "gradient_loss": []}):
        with pytest.raises(ValueError, match="search again"):
            net_pull(unusable)
