"""`python -m workflow`: exit status 1 and one sentence on stderr for what a user can get wrong, and nothing half done."""

import json
import re
import time

import numpy as np
import pytest

from tests.workflow.data.data_builders import cifar10_batches, made_up, same, tar, vouch
from workflow.__main__ import main
from workflow.data import load


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeds.yaml").write_text("seeds: [x]\n")
    (tmp_path / "device.yaml").write_text("device: cuda\n")


def sentence(capsys) -> str:
    """What was said on stderr: one line."""
    text = capsys.readouterr().err.strip()
    assert text.startswith("error: ") and "\n" not in text and text.endswith((".", "?")), text
    return text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["plan", "--configfile", "absent.yaml"], r"absent\.yaml cannot be read"),
        (["plan", "--configfile", "seeds.yaml"], r"'seeds\.0'"),
        (["plan", "--configfile", "device.yaml"], "no CUDA device was found"),
        (["status", "--plan", "absent.json"], r"absent\.json cannot be read as a plan"),
        (
            ["prepare", "cifar", "--preset", "smoke"],
            "no data set 'cifar': choose one of mnist.*put your own images into data/cifar/train",
        ),
        (
            ["prepare", "cifar10", "--made-up", "--preset", "paper"],
            "makes up no images of 'cifar10': add --preset smoke",
        ),
        (["prepare", "imagenet32"], r"ImageNet-32 not found.*image-net\.org"),
        (
            ["train", "table2/nothing/all", "--preset", "smoke"],
            "unknown train job 'table2/nothing/all'; did you mean 'table",
        ),
        (["report", "table9", "--preset", "smoke"], "no product 'table9': choose one of page"),
    ],
)
def test_one_sentence_for_each_mistake(capsys, words, expected, monkeypatch):
    monkeypatch.setattr("workflow.machine.gpus.cuda_devices", lambda: 0)
    assert main(words) == 1
    assert re.search(expected, sentence(capsys))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["times", "--threads", "0"], "--threads: '0' is no whole number above 0"),
        (["train", "x", "--threads", "1.5"], "--threads: '1.5' is no whole number above 0"),
        (["train", "x", "--minutes", "nan"], "--minutes: 'nan' is no finite number"),
        (["times", "--minutes", "inf"], "--minutes: 'inf' is no finite number"),
        (["campaign", "--minutes", "0", "--out", "x"], "--minutes: '0' is not above 0"),
        (["campaign", "--side-by-side", "0"], "--side-by-side: '0' is no whole number above 0"),
        (["campaign", "--side-by-side", "-1"], "--side-by-side: '-1' is no whole number above 0"),
        (["plan", "--hours", "soon"], "--hours: 'soon' is no finite number"),
        (["plan", "--plan", "x", "--preset", "smoke"], "--preset: not allowed with argument --plan"),
        (["plan", "--brief", "--hours", "3"], "--hours: not allowed with argument --brief"),
        (["report", "--partial", "--out", "x"], "--out: not allowed with argument --partial"),
        (["times", "--plan", "x"], "unrecognized arguments: --plan x"),
        (["systems", "--preset", "smoke"], "unrecognized arguments: --preset smoke"),
    ],
)
def test_numbers_and_options_that_could_do_nothing_are_refused_at_once(capsys, words, expected):
    with pytest.raises(SystemExit) as caught:
        main(words)
    said = capsys.readouterr().err
    assert caught.value.code == 2 and expected in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["plan", "--plan", "x", "--configfile", "seeds.yaml"], "--plan x says already what --configfile would"),
        (["plan", "--out", "x", "--on", "H100"], "--out writes the plan.*take one of them out"),
        (["campaign", "--collect", "x", "--minutes", "3"], "--minutes is for doing a campaign.*take one of them out"),
        (["campaign", "--minutes", "3", "--out", "x", "--name", "h100"], "--name is for filing.*add --collect"),
    ],
)
def test_options_that_contradict_each_other_are_one_sentence(capsys, words, expected):
    assert main(words) == 1
    assert re.search(expected, sentence(capsys))


def test_a_plan_from_a_file_of_settings_that_names_its_preset(tmp_path, monkeypatch):
    """bundle takes short unless it is told: by an option, or by the file."""
    from workflow import bundle

    (tmp_path / "mine.yaml").write_text("{preset: paper, device: cpu}\n")
    packed = []
    monkeypatch.setattr(bundle, "bundle", lambda plan, *folders: packed.append(plan.preset))
    (tmp_path / "plain.yaml").write_text("{device: cpu}\n")
    for words in (["--configfile", "mine.yaml"], ["--configfile", "plain.yaml"], ["--preset", "smoke"]):
        assert main(["bundle", "--out", "x.zip", *words]) == 0
    assert packed == ["paper", "short", "smoke"]


def test_times_end_before_a_cluster_cuts_them_off(monkeypatch):
    from workflow.times import times

    given = []
    monkeypatch.setattr(times, "time_rows", lambda plan, out, runs, *, minutes: given.append(minutes) or 0)
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 3600))
    command = ["times", "--threads", "1", "--rows", "mnist/vgg-5"]
    main(command)
    main([*command, "--minutes", "5"])
    monkeypatch.delenv("SLURM_JOB_END_TIME")
    main(command)
    assert given == [pytest.approx(58, abs=1), 5, None]  # two minutes before the hour is over


def test_a_run_without_its_data_fails_with_the_next_step(tmp_path, capsys):
    assert main(["train", "table1/all", "--preset", "smoke", "--threads", "1"]) == 1
    failure = json.loads((tmp_path / "results/smoke/runs/mnist/vgg-5/seed0/failure.json").read_text())
    assert "prepare" in failure["reason"] and "\n" not in failure["reason"]
    assert not list(tmp_path.rglob("result.json"))


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "results").write_text("a file where a folder should be")
    assert main(["plan", "--preset", "smoke", "--out", "results/smoke/plan.json"]) == 1
    assert "cannot be written" in sentence(capsys)


def test_names_and_data_are_listed(capsys):
    assert main(["systems"]) == 0 and "cifar_resnet20" in capsys.readouterr().out.split()
    assert main(["recipes"]) == 0 and "resnet_sgd" in capsys.readouterr().out.split()
    assert main(["data"]) == 0 and "ImageNet-32" in capsys.readouterr().out


def test_the_real_cifar10_is_prepared_whatever_the_preset(small, tmp_path, capsys):
    """From an archive in the official form, cut down; with the preset that makes images up as with the others."""
    train, test = made_up(50, 32, 3, 10, 0), made_up(20, 32, 3, 10, 1)
    vouch(tar(tmp_path / "data/cifar10/cifar-10-python.tar.gz", cifar10_batches(train, test)))
    assert main(["prepare", "cifar10", "--preset", "smoke"]) == 0
    assert "cifar10: 50 training and 20 test images in data/prepared/cifar10\n" in capsys.readouterr().out
    order = np.concatenate([np.arange(50)[k::5] for k in range(5)])
    same(load(tmp_path / "data/prepared/cifar10"), (train[0][order], train[1][order]), test)
    assert [path.name for path in (tmp_path / "data/prepared").iterdir()] == ["cifar10"]


def test_images_are_made_up_where_they_are_asked_for(small, tmp_path, capsys):
    assert main(["prepare", "mnist", "--made-up", "--preset", "smoke"]) == 0
    folders = {path.name for path in (tmp_path / "data/prepared").iterdir()}
    assert folders == {"synthetic-mnist-32-20", "synthetic-mnist-8-8"}
    assert main(["prepare", "data/prepared/synthetic-cifar10-8-8", "--preset", "smoke"]) == 0  # as the rule calls it
    assert load(tmp_path / "data/prepared/synthetic-cifar10-8-8").manifest["source"] == "synthetic"


def test_the_real_mnist_is_prepared_through_the_command(real_data, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "MNIST").symlink_to(real_data / "MNIST")
    assert main(["prepare", "mnist"]) == 0
    assert "mnist: 60000 training and 10000 test images" in capsys.readouterr().out


def test_a_folder_of_ones_own_images_is_prepared(tmp_path, capsys):
    from PIL import Image

    for split, count in (("train", 3), ("test", 1)):
        for number, name in enumerate(("cat", "dog")):
            folder = tmp_path / "data" / "photos" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (8, 8), (40 * number, index, 0)).save(folder / f"{index}.png")
    assert main(["prepare", "photos", "--preset", "smoke"]) == 0
    assert "photos: 6 training and 2 test images in data/prepared/photos" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "data" / "prepared" / "photos" / "manifest.json").read_text())
    assert manifest["splits"]["train"]["class_counts"] == [3, 3]
