"""Nothing that a record, a plan or a file name says becomes markup: hostile text in every place that the page prints."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_factory import PROVENANCE, entry, plan_of, write_failure, write_result, write_search, write_timing

from workflow.report.claims import claims
from workflow.report.page.page import write

HOSTILE = [
    "<script>hit()</script>",
    "\"><img src=x onerror=hit()>",
    "</style></title></svg><svg onload=hit()>",
    "javascript:hit()]]><!--",
    "' onmouseover='{{ 7 * 7 }}{% raw %}",
]  # fmt: skip


class Page(HTMLParser):
    """Tags, and the attributes that could run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.dangerous: list[tuple] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            value = (value or "").strip().lower()
            if (
                name.startswith("on")
                or name in ("href", "src", "xlink:href", "action")
                and value.startswith("javascript")
            ):
                self.dangerous.append((tag, name, value))
            if name in ("src", "srcdoc", "action", "formaction"):
                self.dangerous.append((tag, name, value))


def a_page(folder, text: str) -> tuple[str, Page]:
    """The page of a small plan where `text` stands wherever text can stand."""
    row = entry("net", label=text, learn=660_000, paper={"acc": 90.0, "params": 0.66}, note=text, size=text)
    quoted = entry("other", label=text, system=None, paper={"acc": 91.0})
    plan = plan_of({"table2": {"title": text, "dataset": "cifar10", "reference": "net", "rows": [row, quoted]}})
    plan = replace(plan, banner=text, why=text)
    source = {
        **PROVENANCE,
        **{key: text for key in ("device", "python", "torch", "driver", "cpu", "git_commit", "platform")},
    }
    source["packages"] = {"torch": text, text: "1"}
    results, (first, second, third) = folder / "results", plan.runs
    write_search(results, first, [3] * 18)
    write_result(results, first, 90.0, sizes=[3] * 18, provenance=source)
    write_failure(results, second, text)
    write_timing(results, first, 2.0, search=3.0)
    (results / "runs" / third.id).mkdir(parents=True)
    (results / "runs" / third.id / "result.json").write_text(text)
    recorded = folder / "recorded" / "kept"
    write_result(recorded, first, 90.0, provenance=source)
    (recorded / "runs" / "cifar10" / text.replace("/", "|") / "seed0").mkdir(parents=True)
    write(plan, results, folder / "out")
    content = "".join((folder / "out" / f"{name}.html").read_text() for name in ("index", "runs"))
    parsed = Page()
    parsed.feed(content)
    return content, parsed


@pytest.mark.slow
def test_hostile_text_stays_text(tmp_path, monkeypatch):
    part = {"rule": "beats", "better": "net", "worse": "other"}  # the suite's own claims name the suite's own rows
    claim = {"id": "one", "name": HOSTILE[0], "dataset": "cifar10", "evidence": "table2", "parts": [part]}
    monkeypatch.setattr(
        claims, "definitions", lambda: ({**claim, **dict.fromkeys(("says", "where", "paper"), HOSTILE[0])},)
    )
    for number, text in enumerate(HOSTILE):
        content, page = a_page(tmp_path / str(number), text)
        _, harmless = a_page(
            tmp_path / f"{number}-harmless", re.sub(r"[^\w\s]", "x", text)
        )  # of the same length and words
        assert page.tags == harmless.tags, text
        assert page.dangerous == harmless.dangerous, text
        if set(text) & set("<>"):
            assert text not in content
        if "{{" in text:
            assert "{{ 7 * 7 }}" in content  # printed, not computed
