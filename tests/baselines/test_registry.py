"""Systems are found without torch, and what a user can get wrong is said in one sentence."""

import subprocess
import sys

import pytest

import baselines
from baselines import registry

EXPECTED = {f"cifar_resnet{depth}" for depth in (20, 26, 32, 38, 44, 50, 56)} | {
    "wrn28_1", "wrn28_1_chrabaszcz", "resnet18", "flexnet16", "flexnet5", "flexnet3", "flexnet_gabor16",
    "ckcnn16", "ckcnn_magnet16", "resnet44_ckconv", "resnet44_flexconv",
}  # fmt: skip


def test_every_system_of_the_paper_is_there():
    assert set(baselines.names()) >= EXPECTED
    assert baselines.names() == sorted(baselines.names())


def test_listing_imports_neither_torch_nor_timm(root):
    code = (
        "import sys, baselines; baselines.names(); baselines.module_of('resnet18');"
        "print([m for m in ('torch', 'timm', 'effconv') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_module_of():
    assert baselines.module_of("cifar_resnet20") == "baselines.resnets"
    assert baselines.module_of("flexnet16") == "baselines.flexnet"


def test_an_unknown_name_gets_its_neighbours():
    with pytest.raises(ValueError, match="no system 'flexnet61': did you mean .*flexnet16"):
        baselines.build("flexnet61", in_channels=3, num_classes=10, image_size=32)


def test_a_name_like_nothing_gets_the_list():
    with pytest.raises(ValueError, match="choose one of .*ckcnn16.*wrn28_1"):
        baselines.module_of("0000")


def test_an_unknown_argument_is_named():
    with pytest.raises(ValueError, match="'resnet18' has no argument 'kernel_sizes': it takes none"):
        baselines.build("resnet18", in_channels=3, num_classes=10, image_size=96, kernel_sizes=[3])
    with pytest.raises(ValueError, match="has no argument 'size': it takes kernel_sizes"):
        baselines.build("cifar_resnet20", in_channels=3, num_classes=10, image_size=32, size=3)


def test_what_a_name_fixes_is_no_argument_of_it():
    with pytest.raises(ValueError, match="'cifar_resnet20' has no argument 'depth': it takes kernel_sizes, widths"):
        baselines.build("cifar_resnet20", in_channels=3, num_classes=10, image_size=32, depth=56)


def test_a_new_file_is_all_it_takes(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import torch\n\n@system\ndef my_net(*, in_channels):\n    pass\n\ndef helper():\n    pass\n\n"
        "@systems(small={'depth': 1}, large={'depth': 9})\ndef of_depth(*, depth, in_channels):\n    pass\n"
    )
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    registry._index.cache_clear()
    try:
        assert registry._index() == dict.fromkeys(["my_net", "small", "large"], "baselines.mine")
        (tmp_path / "twice.py").write_text("@system\ndef my_net():\n    pass\n")
        registry._index.cache_clear()
        with pytest.raises(ValueError, match="'my_net' is defined in both baselines.mine and baselines.twice"):
            registry._index()
    finally:
        monkeypatch.undo()
        registry._index.cache_clear()
