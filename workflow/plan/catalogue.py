"""The catalogue of rows: config/tables.yaml and the chapters of config/chapters, read and checked. Torch-free."""

import ast
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import baselines
from baselines import registry
from workflow.plan import row_sizes, search_options
from workflow.plan.config import validate
from workflow.protocol import recipes, search_methods
from workflow.protocol.datasets import DATASETS
from workflow.support.errors import UserError
from workflow.support.files import ROOT, read_yaml
from workflow.support.nearest import advice

TABLES = ROOT / "config" / "tables.yaml"
CHAPTERS = ROOT / "config" / "chapters"
KINDS = {"tables": "table", "figures": "figure", "chapters": "chapter"}


def check_name(kind: str, value: str, names: Iterable[str], where: str) -> None:
    """A UserError with the nearest names, unless `value` is one of `names`."""
    if value in (names := list(names)):
        return
    meant = advice(value, names, f"the {kind}s are {', '.join(names)}.")
    raise UserError(f"{where}: unknown {kind} '{value}'; {meant}")


def systems() -> list[str]:
    """Every system's name. Raises UserError where a file of baselines/ is no Python, or where two declare one name."""
    try:
        return baselines.names()
    except (SyntaxError, ValueError) as error:
        raise UserError(f"baselines/: {_not_python(registry.FOLDER) or error}") from None


def _not_python(folder: Path) -> str | None:
    """What is wrong with the first file of a folder that is no Python; the parser that found it was given no file name."""
    for path in sorted(folder.glob("*.py")):
        try:
            compile(path.read_bytes(), path.name, "exec", ast.PyCF_ONLY_AST)
        except SyntaxError as error:
            return f"{path.name} line {error.lineno} is no Python ({error.msg}): correct it."
    return None


def entries_of(tables: dict) -> dict[str, dict]:
    """Tables, figures and chapters by name, in this order, each with its kind."""
    return {name: {**entry, "kind": kind} for group, kind in KINDS.items() for name, entry in tables[group].items()}


def load_tables(path: Path = TABLES, chapters: Path = CHAPTERS) -> dict:
    """config/tables.yaml and the files of config/chapters, checked: every data set, system, recipe and row that they name exists."""
    tables = read_yaml(path)
    validate(tables, "tables", path.name)
    tables = {**tables, "chapters": {file.stem: _chapter(file) for file in sorted(chapters.glob("*.yaml"))}}
    for name in ("recipes", "datasets"):
        validate(read_yaml(ROOT / "config" / f"{name}.yaml"), name, f"{name}.yaml")
    for name, times in Counter(name for group in KINDS for name in tables[group]).items():
        if times > 1:
            raise UserError(
                f"{path.name}, chapters: two tables, figures or chapters have the name '{name}': rename one of them."
            )
    for dataset, protocol in tables["datasets"].items():
        check_name("data set", dataset, DATASETS, f"{path.name}, datasets")
        check_name("recipe", protocol["recipe"], recipes.names(), f"{path.name}, datasets.{dataset}")
    for name, entry in entries_of(tables).items():
        check_name("data set", entry["dataset"], tables["datasets"], _where(name, entry))
        for row in entry["rows"]:
            if isinstance(row, dict):
                _check_row(row, f"{_where(name, entry)}, row '{row['row']}'")
    return tables


def _chapter(file: Path) -> dict:
    """A file of config/chapters, which is also a part of addresses and of Snakemake's targets by its name."""
    where = f"chapters/{file.name}"
    if not re.fullmatch("[a-z][a-z0-9-]*", file.stem):
        raise UserError(f"{where}: a chapter's name has small letters, digits and hyphens: rename the file.")
    chapter = read_yaml(file)
    validate(chapter, "tables", where, definition="chapter")
    return chapter


def _where(name: str, entry: dict) -> str:
    """The file, and the place in it, that an entry is read from."""
    return f"chapters/{name}.yaml" if entry["kind"] == "chapter" else f"{TABLES.name}, {name}"


def _check_row(row: dict, where: str) -> None:
    if "system" in row:
        check_name("system", row["system"], systems(), where)
    elif lone := {"learn", "recipe", "arguments", "presets", "sizes", "seeds", "precision", "compile"} & set(row):
        raise UserError(f"{where}: '{min(lone)}' needs a 'system': add it, or take it out.")
    if "recipe" in row:
        check_name("recipe", row["recipe"], recipes.names(), where)
    if "learn" in row:
        _check_learn(row["learn"], where)
    if "sizes" in row:
        row_sizes.check(row, where)


def _check_learn(learn: dict, where: str) -> None:
    method = learn.get("method", search_methods.DEFAULT)
    check_name("method", method, search_methods.METHODS, where)
    if not {"parameters", "macs"} & set(learn):
        raise UserError(f"{where}: 'learn' has no budget: add 'parameters' or 'macs'.")
    if method == "random-search" and "parameters" not in learn:
        raise UserError(f"{where}: the method '{method}' draws sizes for a number of parameters: add 'parameters'.")
    search_options.check(learn.get("options", {}), method, f"{where}, learn.options")


def catalogue(tables: dict) -> dict[tuple[str, str], dict]:
    """Every row by (data set, name), tables before figures before chapters."""
    rows: dict[tuple[str, str], dict] = {}
    entries = entries_of(tables)
    for name, entry in entries.items():
        for row in entry["rows"]:
            key = (entry["dataset"], row["row"]) if isinstance(row, dict) else None
            if key in rows:
                raise UserError(
                    f"{_where(name, entry)}: row '{key[1]}' is defined twice for {key[0]}: name it once and refer to it."
                )
            if key:
                rows[key] = row
    for name, entry in entries.items():
        for row in (*entry["rows"], *(r for q in entry.get("questions", ()) for r in (*q["row"], *q["others"]))):
            if isinstance(row, str):
                check_name("row", row, [r for d, r in rows if d == entry["dataset"]], _where(name, entry))
        for row in (row for row in entry["rows"] if isinstance(row, dict)):
            if (origin := row_sizes.source(row, entry["dataset"])) and "learn" not in rows.get(origin, {}):
                searched = [r for (d, r), found in rows.items() if d == origin[0] and "learn" in found]
                check_name("searched row", origin[1], searched, f"{_where(name, entry)}, row '{row['row']}'")
        if "reference" in entry:
            check_name(
                "row",
                entry["reference"],
                [r for d, r in rows if d == entry["dataset"]],
                f"{_where(name, entry)}.reference",
            )
    return rows
