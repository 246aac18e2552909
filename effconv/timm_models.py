"""Registers the paper's backbones with timm: import this module, then `timm.create_model("cifar_resnet20", kernel_sizes=[...])`.

Names: cifar_resnet20, 26, 32, 38, 44, 50, 56 and 110, wrn28_1 and wrn28_10. A module of its own, since importing timm takes seconds.
"""

import sys
from collections.abc import Callable
from typing import Any

from timm.models import register_model
from torch import nn

from effconv.backbones import cifar_resnet, wide_resnet

CIFAR_DEPTHS = (20, 26, 32, 38, 44, 50, 56, 110)
WIDE = ((28, 1), (28, 10))


def _register(name: str, build: Callable[..., nn.Module], *shape: int) -> None:
    def create(pretrained: bool = False, *, num_classes: int = 10, in_chans: int = 3, **options: Any) -> nn.Module:
        if pretrained:
            raise ValueError(f"{name} has no pretrained weights: leave pretrained=True out.")
        for unused in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
            options.pop(unused, None)
        return build(*shape, num_classes=num_classes, in_channels=in_chans, **options)

    create.__name__ = create.__qualname__ = name
    setattr(sys.modules[__name__], name, register_model(create))


for _depth in CIFAR_DEPTHS:
    _register(f"cifar_resnet{_depth}", cifar_resnet, _depth)
for _depth, _widen in WIDE:
    _register(f"wrn{_depth}_{_widen}", wide_resnet, _depth, _widen)
