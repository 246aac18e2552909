"""The page in a real browser: nothing overflows at two widths, both colour schemes apply, sorting and filtering work."""

import html
import json
import re
import shutil
import subprocess

import pytest

from workflow.report import products as report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--virtual-time-budget=4000", "--window-size=1600,1000",
)  # fmt: skip

# Runs beside a frame that holds the page, and leaves what it saw in the document.
PROBE = """
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const page = frame.contentDocument, view = frame.contentWindow, seen = {};
  const root = page.documentElement;
  seen.width = view.innerWidth;
  seen.scroll = root.scrollWidth;
  const scrolls = ".wide, .drawing, nav ul, .command";
  seen.wide = [...page.querySelectorAll("body *")].filter((e) =>
    !e.closest(scrolls) && !e.matches(".skip") && e.getBoundingClientRect().right > view.innerWidth + 1
  ).map((e) => e.outerHTML.slice(0, 80));
  const colours = (e) => { const s = view.getComputedStyle(e); return [s.color, s.backgroundColor]; };
  seen.body = colours(page.body);
  seen.muted = view.getComputedStyle(page.querySelector(".byline")).color;
  seen.link = view.getComputedStyle(page.querySelector("main a")).color;
  seen.pills = [...page.querySelectorAll(".verdict")].map(colours);
  seen.figure = view.getComputedStyle(page.querySelector(".drawing text")).fill;
  const table = page.querySelector("#table2 table.results");
  const heads = [...table.tHead.rows[1].cells];
  const place = heads.findIndex((h) => h.textContent.startsWith("measured"));
  const column = () => [...table.tBodies[0].rows].map((r) => r.cells[place].dataset.value);
  heads[place].querySelector("button").focus();
  seen.focus = page.activeElement.tagName;
  page.activeElement.click();
  seen.rising = [heads[place].getAttribute("aria-sort"), column()];
  page.activeElement.click();
  seen.falling = [heads[place].getAttribute("aria-sort"), column()];
  const select = [...page.querySelectorAll(".filters select")].pop();
  select.value = "failed";
  select.dispatchEvent(new view.Event("change"));
  seen.shown = [...page.querySelectorAll(".runs tbody tr")].filter((r) => !r.hidden).map((r) => r.id);
  seen.count = page.querySelector(".filters output").textContent;
  document.querySelector("pre").textContent = JSON.stringify(seen);
});
"""


@pytest.fixture(scope="module")
def page(partial, tmp_path_factory):
    if BROWSER is None:
        pytest.skip("no Chromium here: install Debian's package `chromium`")
    plan, results = partial
    out = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workflow.records.state.expected_digests", lambda run, stage: {"run": "current"})
        patch.setattr("workflow.report.results.expected_digests", lambda run, stage: {"run": "current"})
        report.write_page(plan, results, out, out / "recorded")
    return out


def look(folder, width, scheme):
    """What the probe saw of the page in a frame of that width. `scheme`: light or dark."""
    content = html.escape((folder / "index.html").read_text(encoding="utf-8"), quote=True)
    wrapper = folder / f"probe-{width}-{scheme}.html"
    wrapper.write_text(
        f'<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="{scheme}"><pre></pre>'
        f'<iframe style="width:{width}px;height:900px;border:0"></iframe>'
        f'<script id="page" type="text/plain">{content}</script><script>{PROBE}'
        'const text = document.createElement("textarea"); text.innerHTML = document.getElementById("page").textContent;'
        "frame.srcdoc = text.value;</script>",
        encoding="utf-8",
    )
    setting = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    command = [
        BROWSER,
        *FLAGS,
        setting,
        f"--user-data-dir={folder / f'profile-{width}-{scheme}'}",
        "--dump-dom",
        wrapper.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r"<pre>(\{.*?\})</pre>", done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


def luminance(colour):
    """Relative luminance of an `rgb(r, g, b)` (WCAG 2.2)."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Contrast ratio of two colours (WCAG 2.2)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_page_in_a_browser(page, width, scheme):
    seen = look(page, width, scheme)
    assert seen["width"] == width
    assert seen["scroll"] <= width and seen["wide"] == []
    ink, background = seen["body"]
    assert (luminance(background) > 0.5) == (scheme == "light")
    assert contrast(ink, background) > 7 and contrast(seen["figure"], background) > 7
    assert min(contrast(seen["muted"], background), contrast(seen["link"], background)) >= 4.5  # AA
    assert all(contrast(*pill) >= 4.5 for pill in seen["pills"])
    assert seen["focus"] == "BUTTON"
    for direction, name in ((1, "rising"), (-1, "falling")):
        state, values = seen[name]
        numbers = [float(value) for value in values if value is not None]
        assert state == ("ascending" if direction == 1 else "descending")
        assert numbers == sorted(numbers, reverse=direction == -1) and len(numbers) > 5
        assert all(value is None for value in values[len(numbers) :])  # rows without a number come last
    assert seen["shown"] == ["run-cifar10-effconv-32-0.66m-seed1"] and re.fullmatch(r"1 of \d+ shown", seen["count"])
