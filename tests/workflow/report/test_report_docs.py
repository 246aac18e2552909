"""The page kept in docs/ is the one that is made now, from what is recorded alone. Remedy where it is not: `make docs`."""

import re

import pytest
import report_factory as factory

from workflow.__main__ import main


@pytest.fixture(autouse=True)
def current():
    """The real digests and epochs, not the factory's."""


@pytest.mark.slow
def test_the_kept_page_is_current(tmp_path, monkeypatch):
    (tmp_path / "results").symlink_to(factory.ROOT / "results")
    monkeypatch.chdir(tmp_path)  # addresses on the page are relative to its folder
    assert main(["docs"]) == 0
    for name in ("index.html", "runs.html"):
        made, kept = (
            (tmp_path / "docs" / name).read_text(encoding="utf-8"),
            (factory.ROOT / "docs" / name).read_text(encoding="utf-8"),
        )
        assert made == kept, (
            f"docs/{name} is not the page of the present records and code: run `make docs` and commit it."
        )
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == ["index.html", "runs.html"]


def test_the_kept_page_stands_alone():
    for name in ("index.html", "runs.html"):
        path = factory.ROOT / "docs" / name
        text = path.read_text(encoding="utf-8")
        assert path.stat().st_size < 1_000_000
        assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
        assert not re.search(r'href="(?:figures|tables|chapters)/', text)  # files that are not kept beside it
