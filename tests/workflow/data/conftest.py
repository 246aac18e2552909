"""Data sets that cannot be downloaded, and refusals."""

import pytest

from workflow.data import prepare
from workflow.support.errors import UserError


@pytest.fixture
def no_network(monkeypatch):
    """Downloads fail at once."""
    monkeypatch.setattr("workflow.data.download._addresses", lambda _: {"cifar-10-python.tar.gz": ["http://nowhere"]})
    monkeypatch.setattr("workflow.data.download._fetch", lambda addresses, *_: f"{addresses[0]}: no network")


@pytest.fixture
def refused(tmp_path):
    """Prepare, expect a refusal, check that nothing was written; the sentence."""

    def check(name: str) -> str:
        with pytest.raises(UserError) as caught:
            prepare(name, source="disk", folder=tmp_path / "data", out=tmp_path / "made" / "prepared" / name)
        assert not (tmp_path / "made").exists()
        sentence = str(caught.value)
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 700
        return sentence

    return check
