"""How every figure looks, and how it becomes a file or a part of the page.

Drawn in a handful of sentinel colours with text kept as text; on the page the sentinels become the page's colours, light or dark.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow.report import text
from workflow.support.known import known

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE, SURFACE = "#1b1f24", "#5f6772", "#dadee4", "#fdfdfe"
# Okabe and Ito's palette, which people with colour blindness can tell apart; the markers differ too.
BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072b2", "#d55e00", "#009e73", "#a8558a", "#b97a00"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
MARKERS = ("o", "s", "^", "D", "v")
VARIABLES = {
    INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", SURFACE: "var(--surface)", BLUE: "var(--blue)",
    VERMILION: "var(--vermilion)", GREEN: "var(--green)", PURPLE: "var(--purple)", ORANGE: "var(--orange)",
}  # fmt: skip
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "effconv", "font.family": "DejaVu Sans", "font.size": 8.5, "axes.titlesize": 9,
    "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.labelsize": 8.5, "axes.edgecolor": MUTED, "axes.labelcolor": INK,
    "axes.titlecolor": INK, "text.color": INK, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": RULE, "grid.linewidth": 0.6,
    "axes.axisbelow": True, "axes.linewidth": 0.7, "xtick.major.width": 0.7, "ytick.major.width": 0.7, "legend.frameon": False,
    "legend.fontsize": 8, "lines.linewidth": 1.5, "figure.facecolor": "none", "axes.facecolor": "none", "path.simplify_threshold": 0.5,
}  # fmt: skip
WIDTH = 7.4  # inches
TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "stl10": "STL-10", "imagenet32": "ImageNet-32"}


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it. `svg`: None where nothing was measured; `heads`, `lines`: its numbers, the first of `total`
    lines; `files`: whether its files lie beside the page."""

    name: str
    title: str
    caption: str
    svg: "Markup | None" = None
    heads: Sequence[str] = ()
    lines: Sequence[Sequence[object]] = ()
    total: int = 0
    files: bool = False


def picture(name: str, title: str, caption: str, figure: "Figure", words: str, **numbers: Any) -> Picture:
    """A figure that is on the page alone. `words`: what it shows, for those who cannot see it."""
    return Picture(name, title, caption, inline(svg_text(figure), name, text.plain(f"{title}. {words}")), **numbers)


def beside_paper(lines: list[dict]) -> bool:
    """Whether the paper's numbers may stand on the same axes: where all that was measured followed its protocol."""
    return {line.get("protocol") for line in lines} <= {None, "paper"}


def panels(rows: int, columns: int, *, height: float, **options) -> tuple["Figure", list[list["Axes"]]]:
    """A figure `height` inches high with a grid of axes in the house style, without pyplot's global state."""
    import matplotlib

    matplotlib.rcParams.update(STYLE)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options).tolist()


def empty(message: str) -> "Figure":
    """What stands in for a figure without data."""
    figure, [[axes]] = panels(1, 1, height=1.2)
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", color=MUTED, transform=axes.transAxes)
    return figure


def svg_text(figure: "Figure") -> str:
    """The figure as SVG; the same figure gives the same bytes."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return out.getvalue()


def png_bytes(figure: "Figure") -> bytes:
    """The figure as PNG on white, for slides and papers."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return out.getvalue()


def pdf_bytes(figure: "Figure") -> bytes:
    """The figure as PDF, for papers; the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(
        out, format="pdf", facecolor="white", metadata={"CreationDate": None, "Creator": None, "Producer": None}
    )
    return out.getvalue()


def _without_bare_groups(body: str) -> str:
    """Groups that carry nothing taken out; their contents stay."""
    kept: list[bool] = []

    def group(found: re.Match) -> str:
        if found[0] == "</g>":
            return found[0] if kept.pop() else ""
        if found[0].endswith("/>"):
            return "" if found[0] == "<g/>" else found[0]
        kept.append(found[0] != "<g>")
        return found[0] if kept[-1] else ""

    return re.sub(r"<g\b[^>]*>|</g>", group, body)


def inline(svg: str, prefix: str, alt: str) -> "Markup":
    """An SVG file's text as a part of a page: themed colours, ids that are unique on the page, no outside names, fewer bytes."""
    from markupsafe import Markup, escape

    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    names = {
        name: f"{prefix}-{i}" for i, name in enumerate(dict.fromkeys(re.findall(r'(?:href="#|url\(#)([\w.-]+)', body)))
    }
    body = re.sub(r' id="([\w.-]+)"', lambda found: f' id="{names[found[1]]}"' if found[1] in names else "", body)
    body = re.sub(r'xlink:href="#([\w.-]+)', lambda found: f'href="#{names[found[1]]}', body)
    body = re.sub(r"url\(#([\w.-]+)", lambda found: f"url(#{names[found[1]]}", body)
    # The page's own font; no rotation.
    body = re.sub(r" ?font-family: [^;\"]*;?| transform=\"rotate\(-0 [^\"]*\"", "", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, variable)
    view = known(re.search(r'viewBox="([^"]+)"', body))[1]
    body = _without_bare_groups(body[body.index(">") + 1 :])
    body = re.sub(r"\s*\n\s*", "\n", body)
    body = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), body)
    body = re.sub(r'style="[^"]*"', lambda found: re.sub(r"([;:]) ", r"\1", found[0]), body)
    return Markup(f'<svg viewBox="{view}" role="img" aria-label="{escape(alt)}">{body}')
