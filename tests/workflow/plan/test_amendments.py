"""Changes that are said to change no number: a record made before counts as made after; nothing else does."""

import pytest
import yaml

from workflow.plan import digests
from workflow.records.state import changed_digests
from workflow.support.code_digests import module_digest
from workflow.support.errors import UserError


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Puts amendments into a file of their own."""
    (tmp_path / "config").mkdir()

    def write(entries):
        (tmp_path / "config" / "amendments.yaml").write_text(yaml.safe_dump({"amendments": entries}))
        monkeypatch.setattr(digests, "ROOT", tmp_path)
        digests._amendments.cache_clear()

    yield write
    digests._amendments.cache_clear()


A, B, C = "a" * 12, "b" * 12, "c" * 12


def entry(**modules):
    return {
        "what": "A text.",
        "why": "Texts are no numbers.",
        "modules": {f"effconv.{name}": pair for name, pair in modules.items()},
    }


def test_a_record_made_before_an_amendment_is_current(written):
    written([entry(mask=[A, B]), entry(mask=[B, C], budget=[A, B])])
    record = {"digests": {"run": A, "effconv.mask": A, "effconv.budget": A}}
    assert changed_digests(record, {"run": A, "effconv.mask": C, "effconv.budget": B}) == ()
    assert changed_digests(record, {"run": B, "effconv.mask": C}) == ("run",)


def test_it_holds_for_that_module_and_that_digest_only(written):
    written([entry(mask=[A, B])])
    assert changed_digests({"digests": {"effconv.budget": A}}, {"effconv.budget": B}) == ("effconv.budget",)
    assert changed_digests({"digests": {"effconv.mask": C}}, {"effconv.mask": B}) == ("effconv.mask",)
    assert changed_digests({"digests": {"effconv.mask": B}}, {"effconv.mask": A}) == ("effconv.mask",)  # not backwards
    assert changed_digests({"digests": {}}, {"effconv.mask": B}) == ("effconv.mask",)


def test_a_change_that_was_taken_back_ends(written):
    written([entry(mask=[A, B]), entry(mask=[B, A])])
    assert digests.present({"effconv.mask": A}) in ({"effconv.mask": A}, {"effconv.mask": B})


@pytest.mark.parametrize("pair", [["short", B], [A], "text"])
def test_a_wrong_entry_is_refused(written, pair):
    written([entry(mask=pair)])
    with pytest.raises(UserError, match="amendments.yaml"):
        digests.present({"effconv.mask": A})


def test_the_amendments_that_are_kept_lead_to_the_present_code():
    """One that leads nowhere is of no use any more: the code has changed since, and it goes."""
    found = digests._amendments()
    for (module, before), _ in found.items():
        assert digests.present({module: before}) == {module: module_digest(module)}, module
