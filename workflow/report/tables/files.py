"""Tables 1 to 4 as files: CSV with every number, Markdown and LaTeX as printed."""

import re
from pathlib import Path

from workflow.plan.plan import Plan
from workflow.report import text
from workflow.report.csv_files import to_csv
from workflow.report.results import gather
from workflow.report.tables.cells import Cell, TableView, caption, view
from workflow.support.files import write_text


def _csv(table: TableView) -> str:
    lines = []
    for row, cells in zip(table.rows, table.lines, strict=True):
        line = {
            "row": row.id,
            "label": row.entry.label,
            "size": row.entry.size,
            "in_paper": row.entry.in_paper,
            "paper_selection": row.entry.selection,
        }
        for column in table.columns[1:]:
            cell = cells[column.key]
            if cell.kind in ("strip", "text"):
                line[column.key] = text.plain(cell.text)
                continue
            line[column.key] = cell.value
            if column.key.startswith("measured_"):
                found = getattr(row, column.key.removeprefix("measured_"))
                line[f"{column.key}_std"], line[f"{column.key}_n"] = found and found.std, found.n if found else 0
            if column.key.startswith("difference_"):
                versus = row.against_paper(column.key.removeprefix("difference_"))
                line[f"{column.key}_low"], line[f"{column.key}_high"] = versus.ends if versus else (None, None)
        timing = row.timing or {}
        line |= {"search_seconds": timing.get("search_seconds"), "train_seconds": timing.get("train_seconds")}
        line["faster_seconds"] = timing.get("faster_seconds")
        line["problems"] = "; ".join(row.problems)
        lines.append(line)
    return to_csv(lines, ("row",))


def _in_a_line(cell: Cell) -> str:
    if not cell.sub:
        return cell.text
    sub = cell.sub.replace("\n", ", ")
    return f"{cell.text} {sub}" if sub.startswith("[") else f"{cell.text} ({sub})"


def _printed(table: TableView) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the formats made of text, without the strips."""
    columns = [column for column in table.columns if not column.key.startswith("strip_")]
    headings = [f"{column.group}: {column.title}" if column.group else column.title for column in columns]
    lines = []
    for cells in table.lines:
        found = [cells[column.key] for column in columns]
        lines.append([_in_a_line(cell) for cell in found])
    return headings, lines


def _markdown(table: TableView, banner: str) -> str:
    headings, lines = _printed(table)
    out = [f"**{caption(table, banner)}**", ""]
    out.append("| " + " | ".join(headings) + " |")
    out.append("|" + "|".join([":---", *["---:"] * (len(headings) - 2), ":---"]) + "|")
    out += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join(out) + "\n"


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "†": r"$\dagger$", "^": r"\textasciicircum{}", "±": r"$\pm$",
          "×": r"$\times$", text.MINUS: "$-$", text.NONE: "--", "σ": r"$\sigma$", **{c: f"\\{c}" for c in "&%$#_{}"}}  # fmt: skip


def latex(raw: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return re.sub("|".join(map(re.escape, _LATEX)), lambda found: _LATEX[found.group()], raw)


def _tex(table: TableView, banner: str) -> str:
    headings, lines = _printed(table)
    body = [" & ".join(map(latex, line)) + r" \\" for line in lines]
    return "\n".join([
        "% Needs \\usepackage{booktabs}.", r"\begin{table}", rf"\caption{{{latex(caption(table, banner))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(headings) - 2)}l}}", r"\toprule", " & ".join(map(latex, headings)) + r" \\", r"\midrule",
        *body, r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def write(name: str, plan: Plan, results: Path, out: Path) -> None:
    """The three files of a table."""
    table = view(name, gather(plan, results))
    banner = "" if plan.comparable else plan.banner
    for suffix, content in (("csv", _csv(table)), ("md", _markdown(table, banner)), ("tex", _tex(table, banner))):
        write_text(out / "tables" / f"{name}.{suffix}", content)
