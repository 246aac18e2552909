"""CKCNN-16 and CKCNN-MAGNet-16: FlexNet-16 with unmasked kernels as large as the image (Romero et al. 2022, ablation).

The first has the SIREN kernels of CKConv, the second FlexConv's MAGNets.
"""

from torch import nn

from baselines.flexconv import CKConv
from baselines.flexnet_network import FlexNet, grid_points
from baselines.growing import GeneratedKernels
from baselines.registry import system


def _ckcnn(
    *,
    in_channels: int,
    num_classes: int,
    image_size: int,
    kernel: str,
    backend: str,
    norm_penalty: float,
) -> GeneratedKernels:
    """FlexNet-16 with CKConv layers."""
    horizon = grid_points(image_size)

    def convolution(inner: int, outer: int) -> CKConv:
        return CKConv(inner, outer, horizon=horizon, kernel=kernel, backend=backend)

    network = FlexNet(in_channels=in_channels, num_classes=num_classes, convolution=convolution)
    return GeneratedKernels(network, norm_penalty=norm_penalty)


@system
def ckcnn16(
    *, in_channels: int, num_classes: int, image_size: int, backend: str = "direct", norm_penalty: float = 0.0
) -> nn.Module:
    """FlexNet-16 with unmasked SIREN kernels as large as the image; arguments as `flexnet16`."""
    return _ckcnn(
        in_channels=in_channels,
        num_classes=num_classes,
        image_size=image_size,
        kernel="siren",
        backend=backend,
        norm_penalty=norm_penalty,
    )


@system
def ckcnn_magnet16(
    *, in_channels: int, num_classes: int, image_size: int, backend: str = "direct", norm_penalty: float = 0.0
) -> nn.Module:
    """FlexNet-16 with unmasked MAGNet kernels as large as the image; arguments as `flexnet16`."""
    return _ckcnn(
        in_channels=in_channels,
        num_classes=num_classes,
        image_size=image_size,
        kernel="magnet",
        backend=backend,
        norm_penalty=norm_penalty,
    )
