"""Any model -> the convolutions whose size can be learned -> a copy with predicted kernels, or a plain copy with given sizes.

Learnable by default (the paper's rule, for any network): square kernels of 3x3 or larger, dense or grouped, with "same" output, except
the first convolution that runs. Everything else is left alone. Deviation: kernels larger than 3x3, which the paper does not have,
may grow to twice their size less one, and start at their own size.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from effconv.counting import evaluating, example_input
from effconv.same_conv import PredictedConv2d, SameConv2d

Selection = Sequence[str] | Callable[[str, nn.Module], bool] | None


@dataclass(frozen=True, kw_only=True)
class LearnableLayer:
    """A convolution whose size is learned: its name in the model, its shape, and where its sizes start and end."""

    name: str
    inner: int  # input channels a group
    outer: int  # output channels
    size: int  # the kernel size in the given model
    positions: int  # output height x width for one image of the given shape
    k: float
    b: float

    @property
    def greatest(self) -> int:
        """The largest size that rounding can give."""
        return math.ceil(2 * self.k + 1 - 0.5)


def size_range(size: int, k: float, b: float) -> tuple[float, float]:
    """(k, b) of Eq. 2 for a kernel of this size: as given for 3x3; larger ones reach 2 size - 1 and start at their own size."""
    if size == 3:
        return k, b
    k = max(k, size - 1)
    start = max(size, 1.3)  # soft sizes are above 1
    return k, math.atanh((start - k - 1) / k)


def _calls(model: nn.Module, input_shape: tuple[int, int, int]) -> list[tuple[str, int]]:
    """(name, output positions) of every two-dimensional convolution in the order they run, repeated where one runs twice."""
    calls: list[tuple[str, int]] = []

    def watch(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda module, inputs, output: calls.append((name, output.shape[2] * output.shape[3]))

    convolutions = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(watch(name)) for name, module in convolutions]
    try:
        with evaluating(model):
            model(example_input(model, input_shape))
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def obstacle(module: nn.Module) -> str | None:
    """Why a module's size cannot be learned, as the end of a sentence; None where it can."""
    if type(module) is SameConv2d:
        return None
    if type(module) is not nn.Conv2d:
        return f"is a {type(module).__name__}, not a plain Conv2d"
    if "weight" not in module._parameters:
        return "has its weights made by a hook (weight_norm, spectral_norm or prune)"
    size, padding = module.kernel_size, module.padding
    if size[0] != size[1]:
        return f"has a {size[0]}x{size[1]} kernel, not a square one"
    if module.dilation != (1, 1):
        return "is dilated"
    if module.padding_mode != "zeros":
        return f"pads with {module.padding_mode!r}, not with zeros"
    if padding != "same" and (size[0] % 2 == 0 or padding != (size[0] // 2, size[0] // 2)):
        return (
            f"pads by {padding} instead of {size[0] // 2}, so that its output is not its input's size over the stride"
        )
    return None


def _selected(model: nn.Module, order: list[str], layers: Selection) -> list[str]:
    """Names of the layers to learn, in the order they run."""
    modules = dict(model.named_modules())
    if layers is None:
        return [name for name in order[1:] if modules[name].kernel_size[0] >= 3 and obstacle(modules[name]) is None]
    if isinstance(layers, str):
        raise ValueError(f"`layers` is the text {layers!r}: give a list of names from model.named_modules().")
    names = [name for name in order if layers(name, modules[name])] if callable(layers) else list(layers)
    for name in names:
        if name not in modules:
            raise ValueError(f"The model has no layer {name!r}: take names from model.named_modules().")
        if name not in order:
            raise ValueError(
                f"{name!r} is no two-dimensional convolution that runs on an image: leave it out of `layers`."
            )
        if reason := obstacle(modules[name]):
            raise ValueError(f"The size of {name!r} cannot be learned, as it {reason}: leave it out of `layers`.")
    return [name for name in order if name in names]


def find_layers(
    model: nn.Module, input_shape: tuple[int, int, int], *, layers: Selection = None, k: float = 3.0, b: float = -0.35
) -> list[LearnableLayer]:
    """The learnable convolutions of a model, in the order they run on an image of `input_shape` (C, H, W).

    `layers`: names, or a predicate of (name, module) that is asked about every convolution that runs, instead of the default rule.
    Raises ValueError where nothing can be learned, where a chosen layer cannot, and where one runs twice or shares its weights.
    """
    calls = _calls(model, input_shape)
    counts = [name for name, _ in calls]
    order = list(dict.fromkeys(counts))
    chosen = _selected(model, order, layers)
    if not chosen:
        raise ValueError("The model has no convolution whose size can be learned: name some in `layers`.")
    modules = dict(model.named_modules())
    owners: dict[int, set[int]] = {}
    for module in model.modules():
        owners.setdefault(id(getattr(module, "weight", None)), set()).add(id(module))
    found = []
    remedy = "name the others in `layers`" if layers is None else "leave it out of `layers`"
    for name in chosen:
        if counts.count(name) > 1:
            raise ValueError(
                f"{name!r} runs {counts.count(name)} times on one image, and can have one size only: {remedy}."
            )
        if len(owners[id(modules[name].weight)]) > 1:
            raise ValueError(f"{name!r} shares its weights with another layer: {remedy}.")
        module = modules[name]
        layer_k, layer_b = size_range(module.kernel_size[0], k, b)
        found.append(
            LearnableLayer(
                name=name,
                inner=module.weight.shape[1],
                outer=module.weight.shape[0],
                size=module.kernel_size[0],
                positions=dict(calls)[name],
                k=layer_k,
                b=layer_b,
            )
        )
    return found


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of another, under every name that it has."""
    old = model.get_submodule(name)
    for path in [path for path, one in model.named_modules(remove_duplicate=False) if one is old]:
        parent, _, child = path.rpartition(".")
        setattr(model.get_submodule(parent), child, module)


def with_predicted_kernels(
    model: nn.Module, names: Sequence[str], *, input_shape: tuple[int, int, int], even_padding: str = "end"
) -> tuple[nn.Module, list[PredictedConv2d]]:
    """A copy of the model whose named convolutions take their kernels from outside, and those convolutions.

    ValueError where one does not run on an image of `input_shape` (C, H, W), so that another object runs in its place.
    """
    network = copy.deepcopy(model)
    replaced = []
    for name in names:
        conv = network.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        rows, columns = conv.stride
        new = PredictedConv2d(stride=(rows, columns), groups=conv.groups, bias=conv.bias, even_padding=even_padding)
        new.weight = conv.weight.detach()
        _replace(network, name, new)
        replaced.append(new)
    ran: set[nn.Module] = set()
    hooks = [new.register_forward_hook(lambda module, *_: ran.add(module)) for new in replaced]
    with evaluating(network):
        network(example_input(network, input_shape))
    for name, new, hook in zip(names, replaced, hooks, strict=True):
        hook.remove()
        new.weight = None
        if new not in ran:
            raise ValueError(
                f"{name!r} runs from a list or another place that torch does not know of, where its kernel cannot be replaced: keep "
                "it in a ModuleList, or leave it out of `layers`."
            )
    return network, replaced


def with_sizes(
    model: nn.Module, sizes: Mapping[str, int], *, even_padding: str = "end", generator: torch.Generator | None = None
) -> nn.Module:
    """A plain copy of the model whose named convolutions have the given sizes.

    A convolution whose size changes gets fresh normal weights: the old ones' standard deviation x old size / new size, which keeps
    the spread of its output, as He's rule does. All other values are the model's. `generator`: on the model's device. ValueError for
    a name that the model does not have, and for a convolution that cannot change its size.
    """
    network = copy.deepcopy(model)
    modules = dict(network.named_modules())
    for name, size in sizes.items():
        old = modules.get(name)
        if not isinstance(old, nn.Conv2d):
            raise ValueError(
                f"The model has no convolution {name!r}: give the kind of model that the sizes were learned for."
            )
        if old.kernel_size == (size, size) and (size % 2 or getattr(old, "even_padding", "end") == even_padding):
            continue
        if reason := obstacle(old):
            raise ValueError(f"{name!r} cannot change its size, as it {reason}: leave it out.")
        new = _resized(old, size, even_padding)
        weights = old.weight.detach().float()
        spread = float(weights.std() if weights.numel() > 1 else weights.abs()) * old.kernel_size[0] / size
        with torch.no_grad():
            new.weight.normal_(0.0, spread, generator=generator)
        _replace(network, name, new)
    return network


def _resized(old: nn.Conv2d, size: int, even_padding: str) -> nn.Conv2d:
    """A convolution like `old` of another size, its weights unset; a torch.nn.Conv2d where that can express it."""
    if size % 2 and type(old) is nn.Conv2d:
        new: nn.Conv2d = nn.utils.skip_init(
            nn.Conv2d,
            old.in_channels,
            old.out_channels,
            size,
            old.stride,
            size // 2,
            groups=old.groups,
            bias=old.bias is not None,
            device=old.weight.device,
        )
    else:
        rows, columns = old.stride
        new = SameConv2d(
            old.in_channels,
            old.out_channels,
            size,
            (rows, columns),
            old.bias is not None,
            groups=old.groups,
            even_padding=even_padding,
        )
    new = new.to(old.weight)
    new.bias = old.bias
    return new
