"""Tables 1 to 4 as files: CSV with every number, Markdown and LaTeX as printed."""

import re
from pathlib import Path

from workflow.plan.plan import Plan
from workflow.report import text
from workflow.report.csv_files import summary_line, to_csv
from workflow.report.results import gather
from workflow.report.tables.cells import Line, TableView, caption, view
from workflow.support.files import write_text

HEADINGS = (
    "Model", "Accuracy: paper", "Accuracy: measured", "Difference", "Parameters: paper", "Parameters: counted", "MACs",
    "Seconds per epoch: paper", "Seconds per epoch: measured", "Time ratio: paper", "Time ratio: measured", "Rests on",
)  # fmt: skip
TOP5 = ("Top-5: paper", "Top-5: measured")


def _csv(table: TableView) -> str:
    return to_csv([
        {
            **summary_line(line.row), "paper_selection": line.row.entry.selection,
            "paper_ratio": line.ratios[0], "ratio": line.ratios[1],
            "faster_seconds": (line.row.timing or {}).get("faster_seconds"), "rests_on": "; ".join(map(str, line.badges)),
        }
        for line in table.lines
    ], ("row",))  # fmt: skip


def _printed(table: TableView) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the formats made of text: the best protocol of each row."""
    lines = []
    for line in table.lines:
        best = line.measured[0] if line.measured else None
        cells = [line.row.name, line.paper, text.of_sample(best.accuracy) if best else line.missing]
        cells += [best.difference if best else "", *line.counts, *line.seconds[:2], *line.ratio]
        cells += [line.paper_top5, text.of_sample(best.top5) if best else ""] if table.has_top5 else []
        lines.append([cell or text.NONE for cell in [*cells, _rests_on(line)]])
    return [*HEADINGS[:-1], *(TOP5 if table.has_top5 else ()), HEADINGS[-1]], lines


def _rests_on(line: Line) -> str:
    return "; ".join(" · ".join([badge.words, *badge.marks]) for badge in line.badges)


def _markdown(table: TableView) -> str:
    headings, lines = _printed(table)
    out = [f"**{caption(table)}**", ""]
    out.append("| " + " | ".join(headings) + " |")
    out.append("|" + "|".join([":---", *["---:"] * (len(headings) - 2), ":---"]) + "|")
    out += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join(out) + "\n"


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "†": r"$\dagger$", "^": r"\textasciicircum{}", "±": r"$\pm$",
          "×": r"$\times$", "·": r"$\cdot$", text.MINUS: "$-$", text.NONE: "--", "σ": r"$\sigma$",
          **{c: f"\\{c}" for c in "&%$#_{}"}}  # fmt: skip


def latex(raw: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return re.sub("|".join(map(re.escape, _LATEX)), lambda found: _LATEX[found.group()], raw)


def _tex(table: TableView) -> str:
    headings, lines = _printed(table)
    body = [" & ".join(map(latex, line)) + r" \\" for line in lines]
    return "\n".join([
        "% Needs \\usepackage{booktabs}.", r"\begin{table}", rf"\caption{{{latex(caption(table))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(headings) - 2)}l}}", r"\toprule", " & ".join(map(latex, headings)) + r" \\", r"\midrule",
        *body, r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def write(name: str, plan: Plan, results: Path, out: Path) -> None:
    """The three files of a table."""
    table = view(name, gather(plan, results))
    for suffix, content in (("csv", _csv(table)), ("md", _markdown(table)), ("tex", _tex(table))):
        write_text(out / "tables" / f"{name}.{suffix}", content)
