"""The table of what is there."""

from data_builders import cifar10_batches, imagenet_members, made_up, same, tar, vouch, written

from workflow.data import load, prepare
from workflow.overview.datasets import main, rows


def test_status_lists_each_data_set(small, tmp_path, capsys):
    train, test = made_up(200, 32, 3, 1000, 0), made_up(30, 32, 3, 1000, 1)
    written(tmp_path / "imagenet32", imagenet_members(train, test))
    vouch(
        tar(tmp_path / "cifar-10-python.tar.gz", cifar10_batches(made_up(50, 32, 3, 10, 0), made_up(20, 32, 3, 10, 1)))
    )
    (tmp_path / "stl10").mkdir()
    (tmp_path / "stl10" / "train_X.bin").write_bytes(b"123")
    table = {row[0]: row for row in rows(tmp_path)}
    assert table["MNIST"][1] == "no" and "downloaded when needed" in table["MNIST"][-1]
    assert table["CIFAR-10"][1:3] == ("yes, python version", str(tmp_path / "cifar-10-python.tar.gz"))
    assert table["CIFAR-10"][4] == "verified"
    assert table["STL-10"][1] == "incomplete, without train_y.bin, test_X.bin, test_y.bin"
    assert table["ImageNet-32"][1] == "yes, pickled batches" and table["ImageNet-32"][4] == "no published checksum"
    prepare("imagenet32", source="disk", folder=tmp_path, out=tmp_path / "prepared" / "imagenet32")
    same(load(tmp_path / "prepared" / "imagenet32"), train, test)
    assert {row[0]: row for row in rows(tmp_path)}["ImageNet-32"][-1].startswith("nothing: prepared in")
    (tmp_path / "cifar-10-python.tar.gz.md5").unlink()
    assert {row[0]: row for row in rows(tmp_path)}["CIFAR-10"][4] == "WRONG"
    assert main(tmp_path) == 0 and main(tmp_path / "nowhere") == 0
    printed = capsys.readouterr().out
    assert "https://image-net.org/download-images" in printed and "delete it and download it again" in printed
