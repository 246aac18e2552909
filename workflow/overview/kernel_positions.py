"""At how many positions a network evaluates its generated kernels. Its own module, so that the page does not hang on the engine."""

from statistics import fmean

import torch

import baselines
from baselines.growing import GrowingKernels
from workflow.protocol.runs import Run


def evaluated_positions(run: Run) -> tuple[float, float] | None:
    """Positions at which a run's network evaluates a kernel, the mean over its layers: as training starts, and with the sizes that
    `pretend_sizes` gives the end of training. None for kernels that are not generated, or do not grow."""
    info, spent = run.constants, []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = baselines.build(
            run.system, in_channels=info.channels, num_classes=info.classes, image_size=info.image_size, **run.arguments
        )
        if not isinstance(model, GrowingKernels):
            return None
        for layer in model.layers():
            layer.kernel_net.register_forward_hook(lambda _, inputs, __: spent.append(len(inputs[0]) * len(inputs[1])))
        for position in ("start", "end"):
            model.pretend_sizes(position)
            model.decide()
            for layer in model.layers():
                layer.generate()
    count = len(spent) // 2
    return fmean(spent[:count]), fmean(spent[count:])
