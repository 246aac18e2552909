"""The data path against torchvision's own functions, image by image, for the same offsets and flips."""

import numpy as np
import pytest
import torch

from workflow.engine import pixels
from workflow.engine.normalisation import Normalisation, normalisation
from workflow.engine.pixels import TestImages, TrainingImages, to_bytes, to_words
from workflow.protocol.datasets import DATASETS

CPU = torch.device("cpu")
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def constants(channels: int = 3, image: torch.Tensor | None = None) -> Normalisation:
    mean, std = torch.tensor(MEAN[:channels]), torch.tensor(STD[:channels])
    return Normalisation(1 / (255 * std), -mean / std, image)


def training(images, *, norm=None, batch_size=8, seed=0, **options) -> TrainingImages:
    labels = np.arange(len(images))  # a label says which image it is
    norm = norm or constants(images.shape[-1])
    return TrainingImages(
        images, labels, normalisation=norm, device=CPU, batch_size=batch_size, seed=seed, stage="train", **options
    )


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (20, 12, 10, 3), dtype=np.uint8)


def by_torchvision(
    image: np.ndarray, row: int, column: int, flip: bool, pad: int, mode: str, mean=MEAN, std=STD
) -> torch.Tensor:
    from torchvision.transforms import functional as tv

    tensor = torch.from_numpy(image).permute(2, 0, 1)
    if pad:
        tensor = tv.pad(tensor, [pad] * 4, padding_mode="constant" if mode == "zero" else mode)
        tensor = tv.crop(tensor, row, column, *image.shape[:2])
    tensor = tv.hflip(tensor) if flip else tensor
    return tv.normalize(tensor.float() / 255, mean[: image.shape[-1]], std[: image.shape[-1]])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(
    ("pad", "mode", "flip"), [(4, "zero", "random"), (3, "reflect", "random"), (0, "none", "none"), (2, "zero", "both")]
)
def test_crops_flips_and_normalisation_are_torchvisions(images, monkeypatch, channels, resident, pad, mode, flip):
    if not resident:
        monkeypatch.setattr(pixels, "RESIDENT_BYTES", 0)
    images = np.ascontiguousarray(images[..., :channels])
    train = training(images, pad=pad, pad_mode=mode, flip=flip)
    assert (train._words is None) != resident
    plan, seen = train.epoch(1), []
    for step in range(train.steps):
        batch = train.step(plan, step)
        pictures, labels = train.load(batch)
        assert pictures.dtype == torch.float32 and pictures.shape == (len(labels), channels, 12, 10)
        assert pictures.is_contiguous(memory_format=torch.channels_last)
        for i, label in enumerate(labels.tolist()):
            expected = by_torchvision(
                images[label], int(batch.row[i]), int(batch.column[i]), bool(batch.flip[i]), pad, mode
            )
            torch.testing.assert_close(pictures[i], expected, rtol=1e-5, atol=1e-5)
            seen.append((label, bool(batch.flip[i])))
    if flip == "both":
        assert sorted(seen) == [(label, side) for label in range(20) for side in (False, True)]
    else:
        assert sorted(label for label, _ in seen) == list(range(20))


@pytest.mark.parametrize("flip", ["random", "none"])
def test_the_mean_image_is_subtracted_before_padding(images, flip):
    train = training(
        images,
        norm=normalisation("per-pixel-mean", DATASETS["cifar10"], images.mean(0) / 255),
        pad=4,
        pad_mode="zero",
        flip=flip,
    )
    centred = torch.from_numpy(images).double() / 255
    centred = centred - centred.mean(0)
    padded = torch.nn.functional.pad(centred.permute(0, 3, 1, 2), (4, 4, 4, 4))
    plan = train.epoch(1)
    pictures, labels = train.load(train.step(plan, 0))
    for i, label in enumerate(labels.tolist()):
        row, column = int(plan.row[i]), int(plan.column[i])
        expected = padded[label, :, row : row + 12, column : column + 10]
        expected = expected.flip(2) if plan.flip[i] else expected
        torch.testing.assert_close(pictures[i].double(), expected, rtol=0, atol=1e-6)


def test_the_test_set_is_normalised_and_nothing_else(images):
    norm = normalisation("per-pixel-mean", DATASETS["cifar10"], images.mean(0) / 255)
    test = TestImages(images[:11], np.arange(11), normalisation=norm, device=CPU, batch_size=4)
    batches = list(test.batches())
    assert [len(labels) for _, labels in batches] == [4, 4, 3]
    pictures = torch.cat([pictures for pictures, _ in batches])
    expected = (torch.from_numpy(images[:11]).double() / 255 - torch.from_numpy(images).double().mean(0) / 255).permute(
        0, 3, 1, 2
    )
    torch.testing.assert_close(pictures.double(), expected, rtol=0, atol=1e-6)


def test_constants_of_the_recipes():
    mnist = normalisation("dataset", DATASETS["mnist"])
    value = 100 * mnist.scale + mnist.shift
    assert value.item() == pytest.approx((100 / 255 - 0.1307) / 0.3081, rel=1e-5)
    imagenet = normalisation("imagenet", DATASETS["cifar10"])
    assert (255 * imagenet.scale + imagenet.shift).tolist() == pytest.approx(
        [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    )
    wrn = normalisation("wrn", DATASETS["cifar10"])
    assert (0 * wrn.scale + wrn.shift).tolist() == pytest.approx([-125.3 / 63.0, -123.0 / 62.1, -113.9 / 66.7])
    unit = normalisation("unit", DATASETS["cifar10"])
    assert (255 * unit.scale + unit.shift).tolist() == pytest.approx([1, 1, 1])
    with pytest.raises(ValueError, match="normalisation 'wrn' is for 3 channels"):
        normalisation("wrn", DATASETS["mnist"])
    with pytest.raises(ValueError, match="unknown normalisation 'none'"):
        normalisation("none", DATASETS["mnist"])


def test_the_order_depends_on_the_seed_the_stage_and_the_epoch_alone(images):
    plan = lambda epoch=1, seed=0, **options: training(
        images, seed=seed, pad=4, pad_mode="zero", flip="random", **options
    ).epoch(epoch)
    same, first = plan(), plan()
    for name in ("image", "row", "column", "flip"):
        assert torch.equal(getattr(first, name), getattr(same, name))
    assert not torch.equal(first.image, plan(epoch=2).image)
    assert not torch.equal(first.image, plan(seed=1).image)
    assert torch.equal(first.image, plan(batch_size=5).image)


def test_offsets_are_uniform_and_half_the_images_flip():
    images = np.zeros((20_000, 2, 2, 1), np.uint8)
    plan = training(images, pad=4, pad_mode="zero", flip="random").epoch(1)
    for offsets in (plan.row, plan.column):
        counts = torch.bincount(offsets, minlength=9)
        assert len(counts) == 9
        assert counts.float().sub(20_000 / 9).abs().max() < 5 * (20_000 / 9) ** 0.5
    assert abs(plan.flip.float().mean().item() - 0.5) < 5 * 0.5 / 20_000**0.5


def test_the_last_partial_batch_is_kept_or_dropped(images):
    kept, dropped = training(images), training(images, drop_last=True)
    assert (kept.steps, kept.shown, dropped.steps, dropped.shown) == (3, 20, 2, 16)
    assert len(kept.step(kept.epoch(1), 2).image) == 4
    small = training(images[:5], drop_last=True)
    assert (small.steps, small.shown) == (1, 5)  # never nothing


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_words_hold_the_bytes(channels):
    images = torch.randint(0, 256, (3, 4, 5, channels), dtype=torch.uint8)
    assert torch.equal(to_bytes(to_words(images), channels), images)


def test_more_channels_than_a_word_has_bytes_are_refused():
    with pytest.raises(ValueError, match="5 channels"):
        training(np.zeros((20, 12, 10, 5), np.uint8))


def test_a_read_only_memory_map_is_fine(tmp_path, images):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    train = training(mapped, pad=4, pad_mode="zero")
    assert len(train.load(train.step(train.epoch(1), 0))[1]) == 8
