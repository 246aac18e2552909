"""CUDA tensors without a GPU: shapes, types and devices are real, there are no values (torch's FakeTensorMode).

What a captured graph forbids raises here: an operation on tensors of two devices, a value that the host reads, a tensor that is moved
between host and device. Not here: kernels, their results, the backward pass, whose place is taken by gradients of the right shape.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from workflow.engine import optimisation

CUDA = torch.device("cuda:0")


def _devices(*values: object) -> set[str]:
    """Where the tensors among the values are, numbers aside."""
    return {leaf.device.type for leaf in tree_leaves(values) if isinstance(leaf, Tensor) and leaf.dim()}


class _Captured(TorchDispatchMode):
    """Raises where an operation's tensors are not all on the GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        devices = _devices(args, kwargs, found)
        assert devices <= {"cuda"}, f"{func} has tensors on {devices}"
        return found


class the_host_reads(TorchDispatchMode):  # noqa: N801, used as a context
    """Raises where an operation that moves nothing has tensors on two devices. The host may read: it is given `number`."""

    MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)

    def __init__(self, number: float):
        super().__init__()
        self.number = number

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            return self.number if args[0].is_floating_point() else args[0].dtype == torch.bool or 5
        found = func(*args, **(kwargs or {}))
        devices = _devices(args, kwargs, found)
        assert func in self.MOVES or len(devices) < 2, f"{func} has tensors on {devices}"
        return found


def _moved(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=CUDA)


def pretend(model: nn.Module) -> nn.Module:
    """The model with its parameters and buffers on the pretended GPU, as `Module.to` would leave them."""
    for module in model.modules():
        for name, value in module._buffers.items():
            module._buffers[name] = value if value is None else _moved(value)
        for name, value in module._parameters.items():
            if value is not None:
                module._parameters[name] = nn.Parameter(_moved(value), requires_grad=value.requires_grad)
    return model


def _gru(module: nn.GRU, inputs: Tensor) -> tuple[Tensor, None]:
    """In place of torch's GRU, which asks the driver and, in torch 2.11, has no shapes without values: its outputs' shape."""
    weights = [weight for name, weight in module.named_parameters() if name.startswith("weight_ih")]
    return torch.cat([F.linear(inputs, weight)[..., : module.hidden_size] for weight in weights], -1), None


@contextlib.contextmanager
def no_gpu_but_its_rules(monkeypatch, model: nn.Module) -> Iterator[list[str]]:
    """Inside, tensors are pretended ones. Yields the names of fused updates that were asked for, with everything on the GPU."""
    updates = []

    def update(name):
        def fused(*tensors, lr, **numbers):
            leaves = [t for t in tree_leaves((tensors, lr)) if isinstance(t, Tensor)]
            assert {t.device for t in leaves} == {CUDA}, f"{name} has tensors elsewhere"
            updates.append(name)

        return fused

    def backward(loss: Tensor) -> None:
        assert loss.requires_grad and loss.device == CUDA
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.empty_like(parameter)

    for name in ("_fused_sgd_", "_fused_adam_", "_fused_adamw_"):
        monkeypatch.setattr(torch, name, update(name))
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    monkeypatch.setattr(torch.Tensor, "data_ptr", lambda tensor: id(tensor))
    monkeypatch.setattr(torch.autograd, "grad", lambda outputs, inputs: (torch.empty_like(inputs),))
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(nn.GRU, "forward", _gru)
    # torch's optimisers look at a rate's value once, when they are made: the tensor takes the number's place afterwards.
    monkeypatch.setattr(optimisation, "_rate", lambda value, device, captured: value)
    with FakeTensorMode():
        pretend(model)
        yield updates


def one_step(step) -> None:
    """A whole captured step and a partial one, under the rules of a capture."""
    for group in step.optimizer.param_groups:
        group["lr"] = torch.zeros((), device=CUDA)
    with _Captured():
        step._body()
        step._partial(step.images.steps - 1)
    _evaluate(step, 3.3)


def one_uncaptured_step(step, number: float = 0.3) -> None:
    """A step that is not captured: its operations are on the GPU. `number`: what the host reads wherever it looks."""
    step.begin(1)
    for group in step.optimizer.param_groups:
        group["lr"] = torch.zeros((), device=CUDA)
    with the_host_reads(number):
        step.arithmetic(step.images.step(step._plan, 0))
    _evaluate(step, number)


def _evaluate(step, number: float) -> None:
    """The forward pass of a test."""
    images, _ = step.images.load(step.images.step(step._plan, 0))
    step.model.eval()
    with the_host_reads(number), torch.no_grad():
        assert step.model(images).shape[0] == len(images)
