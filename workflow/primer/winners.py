"""Kernel sizes of the winners of ILSVRC, read off torchvision's networks."""

from collections.abc import Callable

from torch import nn

from workflow.primer.effort import Effort
from workflow.primer.measuring import meta
from workflow.primer.statement import ARTICLE, CONDITION, RIGHT, UNCHECKED, WRONG, Statement

TOPIC = "Kernel sizes of ILSVRC's winners"


def kernel_sizes(network: nn.Module) -> list[int]:
    """Sizes of a network's convolutions, each once, largest first."""
    return sorted({m.kernel_size[0] for m in network.modules() if isinstance(m, nn.Conv2d)}, reverse=True)


def _winner(
    name: str, year: str, printed: tuple[int, ...], build: Callable[[], nn.Module], note: str = ""
) -> Statement:
    """`note` speaks where a printed size is not in torchvision's network; without one that is an error."""
    found = kernel_sizes(meta(build))
    missing = [size for size in printed if size not in found]
    verdict = RIGHT if not missing else CONDITION if note else WRONG
    text = f"{name} ({year}): the sizes it is known for (computed: all sizes that torchvision's has)"
    shown = ", ".join(map(str, printed))
    return Statement(
        name.lower(), TOPIC, text, ARTICLE, shown, ", ".join(map(str, found)), verdict, note if missing else ""
    )


def alexnet(effort: Effort) -> Statement:
    from torchvision.models import alexnet as build

    return _winner("AlexNet", "2012", (11,), build)


def zfnet(effort: Effort) -> Statement:
    text = "ZFNet (2013): the sizes it is known for"
    note = "Neither torchvision nor timm has this network."
    return Statement("zfnet", TOPIC, text, ARTICLE, "7", "none to read", UNCHECKED, note)


def googlenet(effort: Effort) -> Statement:
    from torchvision.models import googlenet as build

    note = "The published network has 5x5 branches; torchvision's has 3x3 in their place, a slip that it keeps for its weights' sake."
    return _winner("GoogLeNet", "2014", (7, 5), lambda: build(weights=None, init_weights=False), note)


def vgg(effort: Effort) -> Statement:
    from torchvision.models import vgg16 as build

    return _winner("VGG-16", "2014, second place", (3,), build)


def resnet(effort: Effort) -> Statement:
    from torchvision.models import resnet50 as build

    return _winner("ResNet-50", "2015", (7, 3), build)


STATEMENTS = (alexnet, zfnet, googlenet, vgg, resnet)
