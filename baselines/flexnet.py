"""FlexNet-16, -5, -3 and FlexNet-Gabor-16 (Romero et al. 2022): FlexConv layers in the full-resolution residual architecture.

The "-16" counts layers (7 blocks, 15 convolutions, a classifier), "-5" and "-3" count blocks. FlexNet-5 is the network of the
published command (width 22: 0.45M parameters with 10 classes, 0.50M with 1000); the published 0.44M is an older one's, width 20
with factors 1.035, 1.5525 and 2.07. FlexNet-3 has 277,090 parameters, published as 0.27M.
"""

from torch import nn

from baselines.flexconv import SIGMA_GUARD, FlexConv
from baselines.flexnet_network import FLEXNET3, FLEXNET5, FLEXNET16, FlexNet, Stages, grid_points
from baselines.growing import GrowingKernels
from baselines.registry import systems


@systems(
    flexnet16={"stages": FLEXNET16},
    flexnet5={"stages": FLEXNET5},
    flexnet3={"stages": FLEXNET3},
    flexnet_gabor16={"stages": FLEXNET16, "kernel": "gabor"},
)
def flexnet(
    *,
    stages: Stages,
    kernel: str = "magnet",
    in_channels: int,
    num_classes: int,
    image_size: int,
    backend: str = "direct",
    crop: str = "before",
    sigma_guard: float | None = SIGMA_GUARD,
    norm_penalty: float = 0.0,
    decide_every: int | None = None,
) -> nn.Module:
    """A FlexNet.

    Args:
        stages: (width, blocks) of each stage.
        kernel: a name of `kernel_nets.KERNEL_NETS`; "gabor" is the isotropic one.
        in_channels: of the images.
        num_classes: of the output.
        image_size: side of the images.
        backend: "direct" as published, "fft", or "auto" (`flexconv.convolve`).
        crop: "before", "after" or "never" (`flexconv`).
        sigma_guard: lower bound on |sigma|, None for none as published (`flexconv`).
        norm_penalty: weight of the kernels' and biases' norms.
        decide_every: training steps between two decisions on sizes (`growing.GrowingKernels`).
    """
    horizon = grid_points(image_size)

    def convolution(inner: int, outer: int) -> FlexConv:
        return FlexConv(
            inner, outer, horizon=horizon, kernel=kernel, backend=backend, crop=crop, sigma_guard=sigma_guard
        )

    network = FlexNet(in_channels=in_channels, num_classes=num_classes, convolution=convolution, stages=stages)
    return GrowingKernels(network, norm_penalty=norm_penalty, decide_every=decide_every)
