"""The pages in a real browser: nothing overflows at two widths, both colour schemes apply, the keyboard reaches what sorts, and an
accessibility check finds nothing. With AXE_CORE=FILE (axe.min.js, from `npm pack axe-core`) axe-core looks as well.
"""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import report_factory as factory

from workflow.report import products as report

pytestmark = pytest.mark.slow

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
AXE = os.environ.get("AXE_CORE")
WIDTHS = (1400, 390)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--virtual-time-budget=20000", "--window-size=1600,1000",
)  # fmt: skip

# Runs beside frames that hold a page each, and leaves what it saw of them in the document.
PROBE = """
const probe = async (frame) => {
  const page = frame.contentDocument, view = frame.contentWindow, seen = {faults: []};
  const root = page.documentElement, all = (what) => [...page.querySelectorAll(what)];
  const fault = (what, e) => seen.faults.push(what + ": " + e.outerHTML.slice(0, 90));
  seen.title = page.title;
  seen.width = view.innerWidth;
  seen.scroll = root.scrollWidth;
  const scrolls = ".wide, .command";
  seen.wide = all("body *").filter((e) =>
    !(e.closest(scrolls) && !e.matches(".wide")) && !e.matches(".skip") && !e.closest("caption, .cards thead, svg")
    && e.getBoundingClientRect().right > view.innerWidth + 1
  ).map((e) => e.outerHTML.slice(0, 80));
  seen.cut = all(".results td, .claim .ours, .claim .paper, .headline-figure").filter((e) => e.scrollWidth > e.clientWidth + 1)
    .map((e) => e.outerHTML.slice(0, 80));
  const style = (e) => view.getComputedStyle(e);
  // Colours of every text that is shown, on the first background under it that is not transparent.
  const under = (e) => {
    for (let at = e; at; at = at.parentElement)
      if (!/, 0\\)$|transparent/.test(style(at).backgroundColor)) return style(at).backgroundColor;
    return style(page.body).backgroundColor;
  };
  const pairs = new Map();
  for (const e of all("body *")) {
    const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!text || e.closest("svg, script, style") || !e.getClientRects().length) continue;
    pairs.set(style(e).color + " on " + under(e), e.outerHTML.slice(0, 80));
  }
  seen.colours = [...pairs];
  seen.body = [style(page.body).color, style(page.body).backgroundColor];
  const figure = page.querySelector(".drawing text");
  seen.figure = figure && style(figure).fill;
  // What a screen reader needs.
  if (root.lang !== "en" || !page.title) seen.faults.push("no language or title");
  if (all("main").length !== 1 || all("h1").length !== 1) seen.faults.push("not one main and one h1");
  let level = 0;
  for (const e of all("h1, h2, h3, h4")) {
    const own = Number(e.tagName[1]);
    if (own > level + 1) fault("heading skips a level", e);
    if (!e.textContent.trim()) fault("empty heading", e);
    level = own;
  }
  const named = (e) => e.getAttribute("role") === "img" && e.getAttribute("aria-label");
  for (const e of all("svg")) if (!e.getAttribute("aria-hidden") && !named(e)) fault("picture without words", e);
  const nested = "svg svg, [aria-hidden] a, [aria-hidden] button, summary a, summary button, a button, button a";
  for (const e of all(nested)) fault("nested", e);
  for (const e of all("a, button, summary"))
    if (!(e.textContent.trim() || e.getAttribute("aria-label"))) fault("control without a name", e);
  for (const e of all("select, input")) if (!e.closest("label") && !e.getAttribute("aria-label")) fault("field without a label", e);
  for (const e of all("th")) if (!e.scope) fault("heading cell without scope", e);
  for (const e of all(".pill")) if (view.getComputedStyle(e, "::before").content !== "none") fault("a word before a badge", e);
  for (const e of all("table")) if (!e.caption) fault("table without caption", e);
  for (const e of all("[tabindex]")) if (e.tabIndex > 0) fault("order of focus changed", e);
  for (const e of all(".wide"))
    if (e.scrollWidth > e.clientWidth + 1 && e.tabIndex !== 0) fault("scrolls, but not by keyboard", e);
  for (const e of all("[role=list] > *"))
    if (!["listitem", "presentation"].includes(e.getAttribute("role"))) fault("no list item", e);
  const ids = all("[id]").map((e) => e.id);
  if (new Set(ids).size !== ids.length) seen.faults.push("an id twice");
  const reached = all("a, button, summary, select").filter((e) => e.getClientRects().length);
  seen.order = reached.slice(0, 3).map((e) => e.className || e.tagName);
  seen.first = page.querySelector("#findings") && page.querySelector("#findings").getBoundingClientRect().top;
  seen.nav = page.querySelector(".top").getBoundingClientRect().height;
  const table = page.querySelector("#table2 table.results");
  if (table) {
    const heads = [...table.tHead.rows[0].cells];
    const place = heads.findIndex((h) => h.textContent.startsWith("Accuracy"));
    const column = () => [...table.tBodies[0].rows].map((r) => r.cells[place].dataset.value);
    const button = heads[place].querySelector("button");
    button.focus();
    seen.focus = page.activeElement.tagName;
    button.click();
    seen.rising = [heads[place].getAttribute("aria-sort"), column()];
    button.click();
    seen.falling = [heads[place].getAttribute("aria-sort"), column()];
  }
  const select = all(".filters select").pop();
  if (select) {
    select.value = "failed";
    select.dispatchEvent(new view.Event("change"));
    seen.shown = all(".runs tbody tr").filter((r) => !r.hidden).map((r) => r.id);
    seen.count = page.querySelector(".filters output").textContent;
  }
  if (view.axe) {
    for (const e of all("details")) e.open = true;
    const found = await view.axe.run(page, {runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]});
    seen.axe = found.violations.map((v) => [v.impact, v.id, v.nodes.length, v.nodes[0].html.slice(0, 120)]);
  }
  return seen;
};
const loaded = (frame) => new Promise((done) => frame.addEventListener("load", () => done(probe(frame))));
const text = document.createElement("textarea"), frames = [...document.querySelectorAll("iframe")];
Promise.all(frames.map(loaded)).then((all) => document.querySelector("pre").textContent = JSON.stringify(all));
for (const frame of frames) {
  text.innerHTML = frame.nextElementSibling.textContent;
  frame.srcdoc = text.value;
}
"""


@pytest.fixture(scope="module")
def pages(partial, tmp_path_factory):
    if BROWSER is None:
        pytest.skip("no Chromium here: install Debian's package `chromium`")
    plan, results = partial
    out = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch:
        factory.stand_in(patch)
        report.write("index", plan, results, out)
    return out


def look(folder, scheme, frames):
    """What the probe saw of each of the frames, (width, page's text), by one start of the browser. `scheme`: light or dark."""
    holders = [
        f'<iframe style="width:{width}px;height:900px;border:0"></iframe>'
        f'<script type="text/plain">{html.escape(content, quote=True)}</script>'
        for width, content in frames
    ]
    wrapper = folder / f"probe-{scheme}.html"
    wrapper.write_text(
        f'<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="{scheme}"><pre></pre>'
        f"{''.join(holders)}<script>{PROBE}</script>",
        encoding="utf-8",
    )
    setting = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    profile = f"--user-data-dir={folder / f'profile-{scheme}'}"
    command = [BROWSER, *FLAGS, setting, profile, "--dump-dom", wrapper.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found = re.search(r"<pre>(\[.*?\])</pre>", done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


def content(folder, name):
    """A page's text, with axe-core where it is given."""
    found = (folder / f"{name}.html").read_text(encoding="utf-8")
    if AXE:  # the page's policy lets no other script run
        found = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", found)
        found = found.replace("</body>", f"<script>{Path(AXE).read_text(encoding='utf-8')}</script></body>")
    return found


@pytest.fixture(scope="module")
def seen(pages):
    """(page, width, scheme) -> what the probe saw: a start of the browser for each scheme, which is a setting of the browser."""
    shown = {"light": ("index", "runs"), "dark": ("index",)}
    found = {}
    for scheme, names in shown.items():
        frames = [(name, width) for name in names for width in WIDTHS]
        saw = look(pages, scheme, [(width, content(pages, name)) for name, width in frames])
        found |= {(name, width, scheme): one for (name, width), one in zip(frames, saw, strict=True)}
    return found


def luminance(colour):
    """Relative luminance of an `rgb(r, g, b)` (WCAG 2.2)."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Contrast ratio of two colours (WCAG 2.2)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def check(seen, width, scheme):
    """What holds for both pages."""
    assert seen["width"] == width
    assert seen["scroll"] <= width and seen["wide"] == [] and seen["cut"] == []
    ink, background = seen["body"]
    assert (luminance(background) > 0.5) == (scheme == "light") and contrast(ink, background) > 7
    weak = [(pair, where) for pair, where in seen["colours"] if contrast(*pair.split(" on ")) < 4.5]  # AA
    assert weak == [] and len(seen["colours"]) >= 3
    assert seen["faults"] == [] and seen["order"][0] == "skip"
    assert [violation for violation in seen.get("axe", []) if violation[0] in ("serious", "critical")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_page_in_a_browser(seen, width, scheme):
    seen = seen["index", width, scheme]
    check(seen, width, scheme)
    assert contrast(seen["figure"], seen["body"][1]) > 7
    assert seen["nav"] < 60  # the navigation stays one line, whatever the chapters are called
    assert seen["focus"] == "BUTTON"
    for direction, name in ((1, "rising"), (-1, "falling")):
        state, values = seen[name]
        numbers = [float(value) for value in values if value is not None]
        assert state == ("ascending" if direction == 1 else "descending")
        assert numbers == sorted(numbers, reverse=direction == -1) and len(numbers) > 5
        assert all(value is None for value in values[len(numbers) :])  # rows without a number come last


@pytest.mark.parametrize("width", WIDTHS)
def test_runs_in_a_browser(seen, width):
    seen = seen["runs", width, "light"]
    check(seen, width, "light")
    assert seen["shown"] == ["run-cifar10-effconv-32-0.66m-seed1"] and re.fullmatch(r"1 of \d+ shown", seen["count"])


def test_no_script_runs_but_the_pages_own(pages, tmp_path):
    page = (pages / "runs.html").read_text(encoding="utf-8")
    attack = '<script>document.title = "taken"</script><svg onload="document.title = \'taken\'"></svg></main>'
    attacked = page.replace("</main>", attack)
    unguarded = attacked.replace("Content-Security-Policy", "no policy")
    held, taken = look(tmp_path, "light", [(1400, attacked), (1400, unguarded)])
    assert (held["title"], taken["title"]) == ("EffConv, reproduced: the runs", "taken")
