"""Made-up data sets: shaped like the real ones, and a network can learn them."""

import time

import numpy as np
import pytest
from data_builders import synthetic

from workflow.data import load
from workflow.protocol.datasets import DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_synthetic_sets_have_the_shapes_of_the_real_ones(tmp_path, name):
    info = DATASETS[name]
    start = time.process_time()
    manifest = synthetic(tmp_path / "out", name)
    assert time.process_time() - start < 2
    assert manifest["splits"]["train"]["shape"] == [60, info.image_size, info.image_size, info.channels]
    data = load(tmp_path / "out")
    assert len(set(data.train.labels.tolist())) == min(60, info.classes)
    assert set(data.test.labels.tolist()) <= set(data.train.labels.tolist())
    assert 0.4 < np.mean(manifest["mean"]) < 0.6 and min(manifest["std"]) > 0.1
    again = synthetic(tmp_path / "again", name)
    assert again["splits"] == manifest["splits"]


def test_synthetic_classes_differ_at_one_scale_only():
    """Classes 0 and 1 share their orientations at the two coarser scales; power at the fine one tells them apart."""
    from workflow.data.synthetic import _images

    labels = np.repeat([0, 1], 64)
    images = _images(DATASETS["mnist"], labels, np.random.default_rng(0))[..., 0].astype(float)
    power = np.abs(np.fft.fft2(images - images.mean(axis=(1, 2), keepdims=True))) ** 2
    frequency = np.hypot(np.fft.fftfreq(28)[:, None], np.fft.fftfreq(28)[None])
    means = [power[labels == k].mean(axis=0) for k in (0, 1)]
    difference = np.abs(means[0] - means[1]) / (means[0] + means[1])
    assert difference[frequency > 0.25].max() > 0.8  # periods below 4 pixels
    assert difference[(frequency > 0.02) & (frequency < 0.2)].max() < 0.35


def test_a_small_network_learns_the_synthetic_classes(tmp_path):
    import torch
    from torch import nn

    torch.set_num_threads(1)
    synthetic(tmp_path / "out", "mnist", train=256, test=256)
    data = load(tmp_path / "out")
    (x, y), (xt, yt) = (
        (torch.from_numpy(s.images).permute(0, 3, 1, 2).float() / 64 - 2, torch.from_numpy(s.labels))
        for s in (data.train, data.test)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            *(
                nn.Conv2d(1, 16, 5, 2, 2),
                nn.BatchNorm2d(16),
                nn.ReLU(),
                nn.Conv2d(16, 32, 5, 2, 2),
                nn.BatchNorm2d(32),
                nn.ReLU(),
            ),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
        )
        optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        for _ in range(5):
            for batch in torch.randperm(256).split(32):
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
                optimiser.step()
    accuracy = (net.eval()(xt).argmax(1) == yt).float().mean().item()
    assert accuracy > 0.3  # chance is 0.1
