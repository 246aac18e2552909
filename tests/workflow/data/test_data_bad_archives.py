"""Archives that are damaged, incomplete, not what was published, or climb out of their folder: one sentence each, nothing written."""

import tarfile

import pytest
from data_builders import cifar10, imagenet, made_up, stl10_members, tar, vouch, zipped


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.95])
def test_a_truncated_archive_of_cifar10(small, tmp_path, refused, keep):
    path = tar(tmp_path / "data" / "cifar10" / "cifar-10-python.tar.gz", cifar10())
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    assert "where the published checksum is c58f30108f718f92721af3b95e74349a" in refused("cifar10")
    vouch(path)
    assert "is damaged or incomplete" in refused("cifar10")


def test_a_truncated_zip(small, tmp_path, refused):
    path = zipped(tmp_path / "data" / "imagenet32" / "Imagenet32_train.zip", imagenet())
    path.write_bytes(path.read_bytes()[:-100])
    assert "Imagenet32_train.zip is damaged or incomplete (File is not a zip file)" in refused("imagenet32")


def test_a_zip_with_a_flipped_byte(small, tmp_path, refused):
    path = zipped(tmp_path / "data" / "imagenet32" / "Imagenet32_train.zip", imagenet())
    content = bytearray(path.read_bytes())
    content[5000] ^= 0xFF
    path.write_bytes(content)
    assert "is damaged or incomplete" in refused("imagenet32")


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/../../escaped", "..\\escaped"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_path_that_climbs_out(small, tmp_path, refused, name, kind):
    members = {name: b"x", **(cifar10() if kind == "tar" else imagenet())}
    if kind == "tar":
        vouch(tar(tmp_path / "data" / "cifar10" / "cifar-10-python.tar.gz", members))
    else:
        zipped(tmp_path / "data" / "imagenet32" / "Imagenet32_train.zip", members)
    assert f"because its member '{name}' climbs out of the folder" in refused(
        "cifar10" if kind == "tar" else "imagenet32"
    )
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_in_place_of_a_batch(small, tmp_path, refused):
    path = tmp_path / "data" / "cifar10" / "cifar-10-python.tar.gz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    vouch(path)
    assert "it has no member data_batch_1" in refused("cifar10")


def test_a_wrong_checksum(small, tmp_path, refused):
    tar(tmp_path / "data" / "stl10_binary.tar.gz", stl10_members(made_up(12, 96, 3, 10, 0), made_up(8, 96, 3, 10, 1)))
    sentence = refused("stl10")
    assert (
        "where the published checksum is 91f7769df0f17e558f3565bffb0c7dfb: delete it and download it again" in sentence
    )
    (tmp_path / "data" / "stl10_binary.tar.gz.md5").write_text("what is this\n")
    assert "stl10_binary.tar.gz.md5 does not begin with a checksum" in refused("stl10")
    (tmp_path / "data" / "stl10_binary.tar.gz.md5").write_text("0" * 32)
    assert f"where stl10_binary.tar.gz.md5 is {'0' * 32}" in refused("stl10")


def test_only_one_of_two_archives(small, tmp_path, refused):
    members = imagenet()
    members.pop("val_data")
    zipped(tmp_path / "data" / "imagenet32" / "Imagenet32_train.zip", members)
    assert refused("imagenet32").startswith("val_data missing from ")
