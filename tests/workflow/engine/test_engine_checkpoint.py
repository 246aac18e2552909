"""Checkpoints: a damaged or foreign one is not used, and one that cannot be written says so."""

import pytest
import torch

from workflow.engine.checkpoint import Checkpoints
from workflow.support.errors import UserError


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    said = []
    store = Checkpoints(tmp_path, "train", "d", said.append)
    assert store.load(torch.device("cpu")) is None and not said
    for number in (1, 2):
        store.save({"number": number})
    store.path.write_bytes(store.path.read_bytes()[:100])
    assert store.load(torch.device("cpu"))["number"] == 1
    assert (
        len(said) == 1
        and said[0].startswith("checkpoint train.pt is unreadable")
        and said[0].endswith("trying train.previous.pt.")
    )
    store.previous.write_bytes(b"nonsense")
    assert store.load(torch.device("cpu")) is None
    store.save({"number": 3}, final=True)
    assert [path.name for path in tmp_path.iterdir()] == ["train.pt"]


def test_a_checkpoint_of_other_code_is_not_used(tmp_path):
    said = []
    Checkpoints(tmp_path, "train", "old", said.append).save({"number": 1})
    assert Checkpoints(tmp_path, "train", "new", said.append).load(torch.device("cpu")) is None
    assert said == ["checkpoint train.pt was made by other code, data or settings: trying train.previous.pt."]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Checkpoints(tmp_path / "file" / "run", "train", "d", print).save({})
