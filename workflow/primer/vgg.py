"""CS231n's table of VGG-16, layer by layer: activations and weights, from torchvision's network without values.

A layer's activations are its outputs for one image, as the notes list them: the image, convolutions, poolings, fully connected
layers; ReLUs, done in place, are not counted again.
"""

from functools import cache

import torch
from torch import nn

from workflow.primer.effort import Effort
from workflow.primer.measuring import meta, weights
from workflow.primer.statement import NOTES, WRONG, Statement, judge

TOPIC = "CS231n: VGG-16"
# The notes' table: (columns, channels, weights as the product that is written there); weights without biases.
PRINTED = (
    (224, 3, 0), (224, 64, 3 * 9 * 64), (224, 64, 64 * 9 * 64), (112, 64, 0), (112, 128, 64 * 9 * 128), (112, 128, 128 * 9 * 128),
    (56, 128, 0), (56, 256, 128 * 9 * 256), (56, 256, 256 * 9 * 256), (56, 256, 256 * 9 * 256), (28, 256, 0),
    (28, 512, 256 * 9 * 512), (28, 512, 512 * 9 * 512), (28, 512, 512 * 9 * 512), (14, 512, 0), (14, 512, 512 * 9 * 512),
    (14, 512, 512 * 9 * 512), (14, 512, 512 * 9 * 512), (7, 512, 0), (1, 4096, 7 * 7 * 512 * 4096), (1, 4096, 4096 * 4096),
    (1, 1000, 4096 * 1000),
)  # fmt: skip


@cache
def layers() -> tuple[dict, ...]:
    """Every layer of torchvision's VGG-16 in forward order: name, columns, channels, activations, weights (biases left out)."""
    from torchvision.models import vgg16

    network = meta(vgg16).eval()
    found = [{"name": "image", "columns": 224, "channels": 3, "activations": 224 * 224 * 3, "weights": 0}]

    def note(module: nn.Module, inputs: object, out: torch.Tensor) -> None:
        kind = {nn.Conv2d: "convolution 3x3", nn.MaxPool2d: "pooling 2x2", nn.Linear: "fully connected"}[type(module)]
        columns = out.shape[-1] if out.dim() == 4 else 1
        weight = sum(values.numel() for name, values in module.named_parameters() if name == "weight")
        found.append(
            {"name": kind, "columns": columns, "channels": out.shape[1], "activations": out.numel(), "weights": weight}
        )

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.Linear)):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, 3, 224, 224, device="meta"))
    return tuple(found)


def activations() -> int:
    """Activations of one image, all layers of the table."""
    return sum(layer["activations"] for layer in layers())


def table(effort: Effort) -> Statement:
    found = [(layer["columns"], layer["channels"], layer["weights"]) for layer in layers()]
    same = sum(a == b for a, b in zip(found, PRINTED, strict=False))
    printed, computed = f"{len(PRINTED)} layers", f"{same} layers equal"
    text = "The table's layers, their shapes and weights, one by one"
    verdict = judge(len(PRINTED), same if len(found) == len(PRINTED) else -1)
    return Statement("vgg-table", TOPIC, text, NOTES, printed, computed, verdict, "The table below has them all.")


def parameters(effort: Effort) -> Statement:
    from torchvision.models import vgg16

    found = weights(meta(vgg16))
    kernels = sum(layer["weights"] for layer in layers())
    note = f"With its {found - kernels:,} biases; without them {kernels:,}."
    text = "Parameters in all"
    return Statement("vgg-parameters", TOPIC, text, NOTES, 138_000_000, found, judge(138_000_000, found, 3), note)


def first_fully_connected(effort: Effort) -> Statement:
    found = next(layer["weights"] for layer in layers() if layer["name"] == "fully connected")
    text = "Weights of the first fully connected layer, of about 140 million"
    return Statement("vgg-fc", TOPIC, text, NOTES, 100_000_000, found, judge(100_000_000, found, 1))


def memory_in_numbers(effort: Effort) -> Statement:
    found = activations()
    relus = sum(layer["activations"] for layer in layers() if layer["name"] == "convolution 3x3")
    note = (
        f"The table's own lines add up to {found / 1e6:.1f} million; with the ReLUs' outputs kept apart, too, it would be "
        f"{(found + relus + 2 * 4096) / 1e6:.1f} million."
    )
    text = "Activations of one image, forward"
    return Statement("vgg-activations", TOPIC, text, NOTES, 24_000_000, found, judge(24_000_000, found, 2), note)


def memory_in_megabytes(effort: Effort) -> Statement:
    megabytes = 4 * activations() / 2**20
    note = f"Four bytes each: {4 * activations() / 1e6:.1f} million bytes. 93 follows from the wrong sum of 24 million."
    text = "Memory of those activations in float32, MB (2²⁰ bytes)"
    verdict = judge(93, megabytes, 2)
    return Statement("vgg-memory", TOPIC, text, NOTES, 93, megabytes, verdict, note if verdict == WRONG else "")


def where_memory_lies(effort: Effort) -> Statement:
    early = sum(layer["activations"] for layer in layers() if layer["columns"] >= 112) / activations()
    late = sum(layer["weights"] for layer in layers() if layer["columns"] == 1)
    late /= sum(layer["weights"] for layer in layers())
    note = f"{early:.0%} of the activations are of 112x112 and larger, {late:.0%} of the weights in the fully connected layers."
    text = "Most activations are early, most weights late"
    found = "so" if min(early, late) > 0.5 else "not so"
    return Statement("vgg-where", TOPIC, text, NOTES, "so", found, judge("so", found), note)


STATEMENTS = (
    table, parameters, first_fully_connected, memory_in_numbers, memory_in_megabytes, where_memory_lies,
)  # fmt: skip
