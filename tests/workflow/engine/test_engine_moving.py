"""Networks whose weights or points move, by the one loop: their own learning rates and decay, their windows, their kernels on file."""

import numpy as np
import pytest
import torch

from workflow import engine


@pytest.mark.parametrize(
    ("system", "arguments", "recipe", "moving"),
    [
        ("dcls_resnet20", {"widths": [2, 4, 8], "count": 3, "size": 5}, "resnet_sgd", "positions"),
        ("dcls_resnet20", {"widths": [2, 4, 8], "count": 3, "size": 5, "shared": True}, "resnet_sgd", "positions"),
        ("smpconv490k", {}, "smpconv_adam", "radii"),
    ],
)
def test_what_is_to_move_moves(tiny, monkeypatch, tmp_path, system, arguments, recipe, moving):
    monkeypatch.undo()  # the real systems
    run = tiny.run(
        system=system, arguments=arguments, search=None, train={"recipe": recipe, "epochs": 1, "batch_size": 8}
    )
    result = engine.train(
        run, tiny.made_up(train=8, test=8), tmp_path, kernel_sizes=None, digest="d", log=lambda text: None
    )
    assert np.isfinite(result["loss"]) and result["epochs"] == 1
    model = torch.load(tmp_path / "train.pt", weights_only=True)["model"]
    found = {name: value for name, value in model.items() if name.endswith(moving)}
    assert len(found) == (18 if moving == "positions" else 15)
    if moving == "positions":
        assert result["kernel_sizes"] == [5] * 18
        with np.load(tmp_path / "kernels.npz") as kernels:
            assert kernels["layer01"].shape == (5, 5)
    else:
        assert any((value != 0.12).any() for value in found.values())
