"""CKCNN-16 and CKCNN-MAGNet-16: FlexNet-16 with unmasked kernels as large as the image (Romero et al. 2022, ablation).

The first has the SIREN kernels of CKConv, the second FlexConv's MAGNets. On 32-pixel images a direct 33x33 convolution takes 20.5
GMAC an image; through the Fourier transform it is the same function for some 240 times fewer products (`fft_conv`). The rows
train by the faster one, and are timed by both.
"""

from torch import nn

from baselines.flexconv import CKConv
from baselines.flexnet_network import FlexNet, grid_points
from baselines.growing import GeneratedKernels
from baselines.registry import systems


class CKCNN(GeneratedKernels):
    """A network that may train by any convolution: the timing stage times the published one and the fastest."""

    timed_backends = ("direct", "auto")


@systems(ckcnn16={"kernel": "siren"}, ckcnn_magnet16={"kernel": "magnet"})
def ckcnn(
    *,
    kernel: str,
    in_channels: int,
    num_classes: int,
    image_size: int,
    backend: str = "direct",
    norm_penalty: float = 0.0,
) -> nn.Module:
    """FlexNet-16 with unmasked kernels as large as the image; arguments as `flexnet.flexnet`."""
    horizon = grid_points(image_size)

    def convolution(inner: int, outer: int) -> CKConv:
        return CKConv(inner, outer, horizon=horizon, kernel=kernel, backend=backend)

    network = FlexNet(in_channels=in_channels, num_classes=num_classes, convolution=convolution)
    return CKCNN(network, norm_penalty=norm_penalty)
