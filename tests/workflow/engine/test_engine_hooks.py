"""What a network may bring of its own: its loss, its penalty, its rates, its sizes, its order of memory."""

import pytest
import torch
from engine_helpers import rows, train

import baselines


class Hooked(torch.nn.Module):
    """Uses every hook that a network may offer."""

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.slow, self.fast = torch.nn.Linear(192, 10), torch.nn.Parameter(torch.ones(()))
        self.frozen = torch.nn.Parameter(torch.ones(()), requires_grad=False)
        self.size = 5

    def forward(self, images):
        return self.slow(images.flatten(1)) * self.fast

    def training_loss(self, images, labels):
        logits = self(images)
        return torch.nn.functional.multi_margin_loss(logits, labels), logits

    def penalty(self):
        return 1000.0 + 0 * self.fast

    def parameter_groups(self, recipe):
        return [
            {"params": [*self.slow.parameters(), self.frozen], "name": "slow"},
            {"params": [self.fast], "lr_factor": 0.1, "weight_decay": 0.0, "name": "fast"},
        ]

    def kernel_sizes(self):
        self.size += 2
        return [self.size, [3, self.size]]


def test_the_hooks_of_a_network(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "build", lambda *a, **k: Hooked())
    result = train(tiny, tmp_path)
    assert 1000 < result["loss"] < 1100  # its penalty, and its own loss
    assert [row["kernel_sizes"] for row in rows(tmp_path)] == [[7, [3, 7]], [9, [3, 9]]]


def test_groups_have_their_own_rate_and_decay():
    from workflow.engine.optimisation import for_recipe
    from workflow.protocol.recipes import recipe

    rule = recipe("resnet_sgd", "cifar10")
    plan = for_recipe(Hooked(), rule, steps_per_epoch=10, device=torch.device("cpu"))
    slow, fast = plan.optimizer.param_groups
    assert (len(slow["params"]), slow["weight_decay"], fast["weight_decay"]) == (2, 1e-4, 0.0)
    assert plan.rates(0) == pytest.approx([0.1, 0.01])
    assert plan.rates(820) == pytest.approx([0.01, 0.001])
    biases = for_recipe(
        torch.nn.Linear(2, 2), recipe("imagenet32_wrn", "imagenet32"), steps_per_epoch=1, device=torch.device("cpu")
    )
    assert [(len(g["params"]), g["weight_decay"]) for g in biases.optimizer.param_groups] == [(1, 1e-3), (1, 0.0)]


@pytest.mark.parametrize(
    "kind", [torch.nn.Conv2d, type("Generated", (torch.nn.Conv2d,), {"kernel_sizes": lambda self: [3]})]
)
def test_memory_is_channels_last_unless_kernels_are_generated(kind):
    from workflow.engine.session import place

    seen = []
    model = place(kind(4, 4, 3), torch.device("cpu"))
    model.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    model(torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last))
    expected = torch.channels_last if kind is torch.nn.Conv2d else torch.contiguous_format
    assert seen[0].is_contiguous(memory_format=expected)
    assert model.weight.is_contiguous(memory_format=expected)
