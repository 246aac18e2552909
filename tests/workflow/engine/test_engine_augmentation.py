"""Augmentations against torchvision's and Pillow's functions for the same parameters; what is drawn; the batch path."""

import numpy as np
import pytest
import torch

from workflow.engine import augmentation as module
from workflow.engine.augmentation import (
    CapsNet,
    PerspectiveRotation,
    augmentation,
    blacken,
    homographies,
    lanczos,
    perspective,
    rotate,
    shift,
    squish,
    squish_matrices,
)
from workflow.engine.normalisation import Normalisation
from workflow.engine.pixels import TrainingImages

CPU = torch.device("cpu")


def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def pictures(count: int, channels: int = 1, height: int = 28, width: int = 28) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, height, width), generator=random()).float()


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 9, 14)])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_rotation_is_torchvisions(channels, height, width, mode):
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as tv

    images, degrees = pictures(4, channels, height, width), torch.tensor([0.0, 30.0, -7.5, 75.0])
    found = rotate(images, degrees, mode)
    for image, angle, mine in zip(images, degrees.tolist(), found, strict=True):
        expected = tv.rotate(image, angle, InterpolationMode(mode))
        close = torch.isclose(mine, expected, rtol=0, atol=0.02)
        assert close.float().mean() > (0.99 if mode == "nearest" else 0.9999)  # two pixels may be equally near
    assert torch.allclose(found[0], images[0], atol=1e-3)


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 20, 16)])
def test_perspective_is_torchvisions(channels, height, width):
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as tv

    images = pictures(5, channels, height, width)
    start = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    draw = np.random.default_rng(0)
    ends = [(np.array(start) + draw.integers(-4, 5, (4, 2))).tolist() for _ in images]
    table = homographies(torch.tensor([start] * 5), torch.tensor(ends))
    for image, end, mine in zip(images, ends, perspective(images, table.float()), strict=True):
        expected = tv.perspective(image, start, end, InterpolationMode.BILINEAR)
        assert (
            torch.isclose(mine, expected, rtol=0, atol=0.1).float().mean() > 0.995
        )  # the border's pixels are a rounding apart


def test_a_homography_by_hand():
    # The unit square to itself, shrunk by a half: (x, y) of the output comes from (2x, 2y).
    corners = torch.tensor([[[0, 0], [2, 0], [2, 2], [0, 2]]])
    assert homographies(2 * corners, corners)[0].tolist() == pytest.approx([2, 0, 0, 0, 2, 0, 0, 0], abs=1e-12)


def test_shifts_stay_in_the_margin_and_are_torchvisions():
    from torchvision.transforms import functional as tv

    images = torch.zeros(5, 1, 12, 10)
    images[:4, :, 3:7, 2:5] = pictures(4, 1, 4, 3) + 1
    right, down = torch.tensor([0.5, -0.99, 0.999, -0.5, 0.9]), torch.tensor([-0.4, 0.999, 0.2, -0.999, 0.9])
    # Margins: 5 to the right, 2 to the left, 5 below, 3 above; whole pixels, towards zero.
    moves = [(2, -1), (-1, 4), (4, 1), (-1, -2), (0, 0)]
    for image, move, mine in zip(images, moves, shift(images, right, down), strict=True):
        assert torch.equal(mine, tv.affine(image, 0.0, list(move), 1.0, [0.0, 0.0]))
        assert mine.sum() == image.sum()


@pytest.mark.parametrize("less", [1, 4, 7])
@pytest.mark.parametrize("extra", [0, 1])
def test_squish_is_pillows_lanczos(less, extra):
    from PIL import Image

    image = pictures(1)
    found = squish(image, squish_matrices(28)[less - 1, extra][None])[0, 0]
    smaller = Image.fromarray(image[0, 0].numpy()).resize((28 - less, 28), Image.Resampling.LANCZOS)
    expected = np.zeros((28, 28), np.float32)
    left = less // 2 + extra
    expected[:, left : left + 28 - less] = np.clip(np.asarray(smaller), 0, 255)
    assert found.numpy() == pytest.approx(expected, abs=1e-2)
    assert torch.allclose(lanczos(28, 28), torch.eye(28).double(), atol=1e-12)


def test_the_patch_is_torchvisions_erase():
    from torchvision.transforms import functional as tv

    images = pictures(3, 2)
    found = blacken(images, torch.tensor([4, 22, 13]), torch.tensor([22, 4, 9]))
    for image, (row, column), mine in zip(images, [(4, 22), (22, 4), (13, 9)], found, strict=True):
        assert torch.equal(mine, tv.erase(image, row, column, 4, 4, torch.zeros(())))


def test_what_capsnet_draws():
    numbers = CapsNet(28, 28, CPU).draw(40_000, random())
    degrees, right, down, less, extra, row, column = numbers.unbind(1)
    assert numbers.shape == (40_000, 7)
    assert degrees.abs().max() <= 29 and torch.equal(degrees, degrees.round())
    # Half are not turned; of the others, |30 N| < 1 rounds to 0: erf(1 / 30 / 0.33 / sqrt 2) = 8.0 %.
    assert (degrees == 0).float().mean().item() == pytest.approx(0.5 + 0.5 * 0.080, abs=0.01)
    assert right.abs().max() < 1 and down.abs().max() < 1
    assert (right > 0).float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert right.std().item() == pytest.approx(0.33, rel=0.02)
    assert less.unique().tolist() == list(range(7)) and extra.unique().tolist() == [0, 1]
    for place in (row, column):
        assert place.unique().tolist() == list(range(4, 23))
    both = torch.corrcoef(torch.stack([degrees, right, down, less, extra, row, column]))
    assert (both - torch.eye(7)).abs().max() < 0.03


def test_what_perspective_rotation_draws_is_torchvisions_distribution(monkeypatch):
    from torchvision.transforms import RandomPerspective

    kind, seen = PerspectiveRotation(28, 28, CPU), {}
    noted = lambda start, end: seen.update(start=start, end=end) or homographies(start, end)
    monkeypatch.setattr(module, "homographies", noted)
    numbers = kind.draw(20_000, random())
    moved = (seen["end"] != seen["start"]).flatten(1).any(1)
    assert moved.float().mean().item() == pytest.approx(0.5, abs=0.02)
    identity = torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0])
    assert torch.allclose(numbers[~moved, :8], identity, atol=1e-5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.tensor([RandomPerspective.get_params(28, 28, 0.5)[1] for _ in range(2000)])
    start, mine = RandomPerspective.get_params(28, 28, 0.5)[0], seen["end"][moved]
    assert seen["start"][0].tolist() == start
    for corner in range(4):
        for axis in range(2):
            assert mine[:, corner, axis].unique().tolist() == theirs[:, corner, axis].unique().tolist()
    degrees = numbers[:, 8]
    assert degrees.abs().max() <= 10 and degrees.std().item() == pytest.approx(10 / 3**0.5, rel=0.02)


@pytest.mark.parametrize("name", ["capsnet", "perspective-rotation"])
def test_the_batch_path_augments_before_it_normalises(name):
    images = np.zeros((6, 28, 28, 1), np.uint8)
    images[:, 8:20, 10:18] = np.random.default_rng(0).integers(1, 256, (6, 12, 8, 1))
    norm = Normalisation(torch.tensor([1 / 255 / 0.3]), torch.tensor([-0.13 / 0.3]))
    train = TrainingImages(
        images, np.arange(6), normalisation=norm, device=CPU, batch_size=4, seed=0, stage="train", augment=name
    )
    plan = train.epoch(1)
    found, labels = train.load(train.step(plan, 1))
    values = torch.from_numpy(images[labels]).permute(0, 3, 1, 2).float()
    expected = augmentation(name, 28, 28, CPU)(values, plan.warp[4:6])
    assert torch.allclose(found, (expected / 255 - 0.13) / 0.3, atol=1e-5)
    assert not torch.allclose(expected, values, atol=1)
    assert expected.min() >= 0 and expected.max() <= 255.01
    assert torch.equal(plan.warp, train.epoch(1).warp) and not torch.equal(plan.warp, train.epoch(2).warp)


def test_capsnets_order_is_rotation_shift_squish_patch():
    kind, images = CapsNet(28, 28, CPU), torch.zeros(1, 1, 28, 28)
    images[:, :, 9:19, 9:19] = 200.0
    one = lambda value: torch.tensor([float(value)])
    expected = rotate(images, one(20))
    expected = shift(expected, one(0.5), one(-0.9))
    expected = squish(expected, kind.matrices[2, 1][None])  # by 3 pixels
    expected = blacken(expected, one(5), one(14))
    found = kind(images, torch.tensor([[20.0, 0.5, -0.9, 2.0, 1.0, 5.0, 14.0]]))
    assert torch.equal(found, expected)


def test_wrong_names_and_sizes_are_one_sentence():
    with pytest.raises(ValueError, match="unknown augmentation 'capsnets': use none, capsnet, perspective-rotation"):
        augmentation("capsnets", 28, 28, CPU)
    with pytest.raises(ValueError, match="images of at least 26 pixels, not 8 x 8: choose another recipe"):
        augmentation("capsnet", 8, 8, CPU)
    assert augmentation("none", 8, 8, CPU) is None
