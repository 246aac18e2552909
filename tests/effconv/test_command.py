"""`python -m effconv` on a folder of made-up images."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from effconv import LearnedSizes, cifar_resnet, count_parameters
from effconv.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / "train" / name).mkdir(parents=True)
        for index in range(6):
            image = Image.fromarray(pixels.integers(0, 256, (20, 24, 3), dtype=np.uint8))
            image.save(root / "train" / name / f"{index}.png")
    return root


def test_searches_saves_and_says_how_to_load(folder, tmp_path, capsys):
    out = tmp_path / "new" / "sizes.json"
    words = [
        "--data",
        str(folder),
        "--model",
        "cifar_resnet20",
        "--parameters",
        "0.3M",
        "--out",
        str(out),
        "--epochs",
        "2",
    ]
    words += [
        "--batch-size",
        "4",
        "--image-size",
        "8",
        "--kernel-predictor",
        "projected",
        "--record-every",
        "1",
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "blocks.0.conv1" in printed and "LearnedSizes.load" in printed and "269,202 before" in printed
    learned = LearnedSizes.load(out)
    assert (
        learned.options.hidden == 64
        and "Without images the same search (6 steps)" in printed
        and learned.input_shape == (3, 8, 8)
    )
    assert learned.trajectory["step"] == [1, 2, 3, 4, 5, 6]
    assert count_parameters(learned.apply(cifar_resnet(20, num_classes=2))) == learned.parameters

    figure = tmp_path / "trajectory.svg"
    assert main(["--draw", str(out), "--out", str(figure)]) == 0
    assert "classification loss" in figure.read_text()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"--data": "/nowhere"}, "give one folder a class"),
        ({"--device": "gpu"}, "--device gpu cannot be used"),
        ({"--model": "resnet999"}, "timm.list_models"),
        ({"--parameters": "5"}, "No kernel sizes give the whole network 5 parameters"),
    ],
)
def test_mistakes_are_one_sentence(folder, tmp_path, capsys, change, sentence):
    words = {
        "--data": str(folder),
        "--model": "cifar_resnet20",
        "--parameters": "0.3M",
        "--out": str(tmp_path / "s.json"),
    }
    words |= {"--epochs": "1", "--image-size": "8", "--kernel-predictor": "projected", "--device": "cpu"} | change
    assert main([word for pair in words.items() for word in pair]) == 2
    message = capsys.readouterr().err
    assert sentence in message and "Traceback" not in message
    assert not (tmp_path / "s.json").exists()


def test_draw_refuses_other_files(tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"trajectory": {"step": []}}))
    assert main(["--draw", str(other), "--out", str(tmp_path / "t.svg")]) == 2
    assert "no entries to draw" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"trajectory": []}'])
def test_draw_names_a_file_that_is_no_search(tmp_path, capsys, text):
    other = tmp_path / "other.json"
    other.write_text(text)
    assert main(["--draw", str(other), "--out", str(tmp_path / "t.svg")]) == 2
    message = capsys.readouterr().err
    assert "other.json holds no search" in message and "Traceback" not in message


def test_an_empty_class_is_named(tmp_path, capsys):
    for name in ("cat", "empty"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "cat" / "0.png")
    assert (
        main(["--data", str(tmp_path / "photos"), "--model", "cifar_resnet20", "--out", str(tmp_path / "s.json")]) == 2
    )
    assert "empty" in capsys.readouterr().err


def test_a_folder_as_out_is_refused_before_the_search(folder, tmp_path, capsys):
    words = ["--data", str(folder), "--model", "cifar_resnet20", "--parameters", "0.3M", "--out", str(tmp_path)]
    assert main(words) == 2
    assert "is a folder: give a file in it" in capsys.readouterr().err


def test_every_option_is_explained(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "a control: the images do not reach the sizes" in " ".join(capsys.readouterr().out.split())


def test_needs_data_or_draw(capsys):
    with pytest.raises(SystemExit):
        main(["--out", "sizes.json"])
    assert "give --data and --model" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--out", "sizes.json", "--parameters", "much"])
    assert "write it like 660000" in capsys.readouterr().err


def test_images_are_reproducible(folder):
    from effconv.images import image_batches

    def first():
        batches, classes = image_batches(folder, image_size=8, batch_size=5, seed=1)
        torch.manual_seed(0)
        assert classes == 2 and len(batches) == 2
        return next(iter(batches))[1].tolist()

    assert first() == first()
