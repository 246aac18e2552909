"""The kernels that a search found, as the arguments of the network that is trained: `kernel_sizes`, one int a layer in forward order,
and `dilations`, the same, where the search found these too. No entries: the network's own kernels.
"""

from collections.abc import Mapping

Kernels = dict[str, list[int]]


def kernels_of(search: Mapping) -> Kernels:
    """The kernels of a search's record."""
    found = {"kernel_sizes": search["sizes"]}
    return found | ({"dilations": search["dilations"]} if "dilations" in search else {})


def as_text(kernels: Mapping[str, list[int]]) -> str:
    """Sizes, each with its dilation where there are any: "3 5", "3d1 5d2"; nothing for the network's own kernels."""
    sizes, dilations = kernels.get("kernel_sizes", []), kernels.get("dilations")
    if dilations is None:
        return " ".join(map(str, sizes))
    return " ".join(f"{size}d{dilation}" for size, dilation in zip(sizes, dilations, strict=True))


def from_text(text: str) -> Kernels:
    """The reverse of `as_text`."""
    layers = [[int(number) for number in layer.split("d")] for layer in text.split()]
    found = {"kernel_sizes": [layer[0] for layer in layers]} if layers else {}
    return found | ({"dilations": [layer[1] for layer in layers]} if "d" in text else {})
