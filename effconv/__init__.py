"""EffConv: learning the kernel sizes of convolutions (Ganjdanesh, Gao and Huang, AAAI 2023), for any torch network.

Start with `learn_kernel_sizes`, or drive `KernelSizeSearch` from a training loop of your own; README.md in this folder is the guide.
"""

from effconv.backbones import cifar_resnet, wide_resnet
from effconv.budget import budget_loss
from effconv.convert import find_layers, with_sizes
from effconv.counting import count_macs, count_parameters
from effconv.fixed_shapes import FixedShapeSearch
from effconv.image_free import Comparison
from effconv.kernel_predictor import KernelPredictor, KernelPredictors
from effconv.learn import learn_kernel_sizes
from effconv.learned import LearnedSizes
from effconv.mask import modulation_mask
from effconv.options import SearchOptions
from effconv.same_conv import SameConv2d, same_conv2d
from effconv.search import KernelSizeSearch
from effconv.size_predictor import SizePredictor, round_straight_through, soft_size
from effconv.size_search import SizeSearch
from effconv.trajectory import draw_trajectory

__version__ = "1.0.0.dev0"  # here and nowhere else: pyproject.toml reads it

__all__ = [
    "Comparison",
    "FixedShapeSearch",
    "KernelPredictor",
    "KernelPredictors",
    "KernelSizeSearch",
    "LearnedSizes",
    "SameConv2d",
    "SearchOptions",
    "SizePredictor",
    "SizeSearch",
    "budget_loss",
    "cifar_resnet",
    "count_macs",
    "count_parameters",
    "draw_trajectory",
    "find_layers",
    "learn_kernel_sizes",
    "modulation_mask",
    "round_straight_through",
    "same_conv2d",
    "soft_size",
    "wide_resnet",
    "with_sizes",
]
