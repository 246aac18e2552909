"""From the configuration to the list of runs, jobs and expected digests. Torch-free: the Snakefile asks it at every `snakemake -n`.

A *row* is one line of a table (a system on a data set, perhaps with a budget), a *run* one seed of it, a *job* the runs that one
process does. Tables and figures only name rows; a row that two of them share is run once.
"""

import fnmatch
import json
from pathlib import Path

from workflow.plan import row_sizes
from workflow.plan.catalogue import catalogue, entries_of, known, load_tables
from workflow.plan.config import PRESETS
from workflow.plan.names import row_of
from workflow.protocol import recipes
from workflow.protocol.datasets import DATASETS
from workflow.records.records import SCHEMA
from workflow.support.errors import UserError


def data_folder(config: dict, dataset: str, counts: dict | None = None) -> str:
    """Where a data set lies prepared; made-up ones carry their counts, so that presets cannot mix them up."""
    base = f"{config['data']}/prepared"
    return f"{base}/synthetic-{dataset}-{counts['train']}-{counts['test']}" if counts else f"{base}/{dataset}"


def _lightened(config: dict, dataset: str, row: dict) -> tuple[dict | None, dict]:
    """(counts of made-up images or None for real ones, the system's arguments) of a row; less for systems that are heavy."""
    arguments = row.get("arguments", {})
    if config["source"] == "real":
        return None, arguments
    heavy = config.get("heavy")
    if heavy and any(fnmatch.fnmatchcase(row["system"], pattern) for pattern in heavy["systems"]):
        return heavy["synthetic"], {**heavy["arguments"], **arguments}
    return config["synthetic"][dataset], arguments


def unavailable(config: dict, datasets: set[str]) -> dict[str, str]:
    """Data set -> what to do, for those that are neither here nor to be downloaded. Their rows wait; nothing else does."""
    if config["source"] == "synthetic":
        return {}
    from workflow.data.download import DOWNLOADABLE
    from workflow.data.layouts import find, missing  # here, since only the real data sets need numpy at planning

    folder, sentences = Path(config["data"]), {}
    for dataset in sorted(datasets - set(DOWNLOADABLE)):
        found, lacking = find(dataset, folder)
        if not found and not Path(data_folder(config, dataset), "manifest.json").exists():
            sentences[dataset] = str(missing(DATASETS[dataset], folder, lacking))
    return sentences


def _run(config: dict, protocol: dict, dataset: str, row: dict, seed: int) -> dict:
    """One run, described wholly."""
    name = row.get("recipe", protocol["recipe"])
    recipe = recipes.recipe(name, dataset)
    epochs, factor = config["epochs"], config["epochs"].get("factor", 1)
    counts, arguments = _lightened(config, dataset, row)
    batch_size = config.get("batch_size", recipe.batch_size)
    shortened = {stage: {"images": count} for stage, count in config.get("images", {}).items()}
    search = None
    if learn := row.get("learn"):
        learn_epochs = learn.get("epochs", protocol["search_epochs"])
        search = {
            "epochs": epochs.get("search") or max(1, round(learn_epochs * factor)),
            "parameters": learn.get("parameters"), "macs": learn.get("macs"), "recipe": name, "batch_size": batch_size,
            "options": {**config["search_options"], **learn.get("options", {})},
            **({"method": learn["method"]} if "method" in learn else {}), **shortened.get("search", {}),
        }  # fmt: skip
    return {
        "id": f"{dataset}/{row['row']}/seed{seed}", "dataset": dataset, "row": row["row"], "label": row["label"], "seed": seed,
        "system": row["system"], "arguments": arguments, "data": data_folder(config, dataset, counts), "search": search,
        "train": {"recipe": name, "epochs": epochs.get("train") or max(1, round(recipe.epochs * factor)), "batch_size": batch_size,
                  **shortened.get("train", {})},
        "precision": row.get("precision", config["precision"]), "device": config["device"],
        "deterministic": config.get("deterministic", False), "compile": row.get("compile", config.get("compile", False)),
        **row_sizes.resolved({**row, "arguments": arguments}, dataset, seed, config["seeds"]),
    }  # fmt: skip


def _jobs(
    config: dict, runs: list[dict], homes: dict[str, str], absent: dict[str, str]
) -> dict[str, dict[str, list[str]]]:
    """Stage -> job name -> run ids (search, train) or `dataset/row` (time).

    `homes`: the table or figure that defines a row. `absent`: data sets whose runs have to wait.
    """
    jobs: dict[str, dict[str, list[str]]] = {"search": {}, "train": {}, "time": {}}
    for run in runs:
        row = row_of(run)
        if {run["dataset"], run.get("sizes", {}).get("dataset")} & absent.keys():
            continue
        group = f"{homes[row]}/{run['system']}" if config["jobs"].get("rows") == "system" else row
        job = f"{group}/seed{run['seed']}" if config["jobs"]["seeds"] == "one" else f"{group}/all"
        jobs["train"].setdefault(job, []).append(run["id"])
        if run["search"]:
            jobs["search"].setdefault(job, []).append(run["id"])
        clock = jobs["time"].setdefault(row if config["jobs"]["timing"] == "row" else homes[row], [])
        if row not in clock:
            clock.append(row)
    return jobs


def make_plan(config: dict, tables: dict | None = None) -> dict:
    """The plan: a JSON-able dict with the runs, the jobs, and the tables and figures with their rows resolved."""
    tables = tables or load_tables()
    rows = catalogue(tables)
    chosen = [key for key, row in rows.items() if _wanted(config, *key, row)]
    # Rows whose sizes start from another row's search bring that row with them.
    chosen += [key for key in {row_sizes.source(rows[key], key[0]): 0 for key in chosen} if key and key not in chosen]
    if not chosen:
        raise UserError(
            f"config: key 'only' ({config['only']}) matches no row with a system: `snakemake plan` lists them."
        )
    for dataset in {d for d, _ in chosen}:
        if config["source"] == "synthetic":
            known("data set", dataset, config.get("synthetic", {}), "config, synthetic")
    runs = [
        _run(config, tables["datasets"][d], d, rows[d, r], seed)
        for d, r in chosen
        for seed in row_sizes.seeds_of(rows[d, r], config["seeds"])
    ]
    entries, shown = entries_of(tables), {}
    for name, entry in entries.items():
        names = [row if isinstance(row, str) else row["row"] for row in entry["rows"]]
        shown[name] = {**entry, "rows": [_shown(rows[entry["dataset"], row]) for row in names]}
    homes = {
        f"{entry['dataset']}/{row['row']}": name
        for name, entry in entries.items()
        for row in entry["rows"]
        if isinstance(row, dict)
    }
    absent = unavailable(config, {dataset for dataset, _ in chosen})
    plan = {
        "schema": SCHEMA, "preset": config["preset"], "why": config["why"],
        "comparable": config["preset"] == "paper" and not config["changed"],
        "banner": BANNERS[config["preset"]] + config["changed"], "seeds": config["seeds"], "device": config["device"],
        "source": config["source"],
        "data": config["data"], "prepare": _prepare(config, [(d, rows[d, r]) for d, r in chosen]),
        "timing": config["timing"], "time_limit": config.get("time_limit"),
        "runs": runs, "unavailable": absent, "on_demand": _on_demand(config, shown),
        "jobs": _jobs(config, runs, homes, absent), "tables": shown,
    }  # fmt: skip
    return json.loads(json.dumps(plan))  # the same types as when read back from plan.json


def _prepare(config: dict, rows: list[tuple[str, dict]]) -> dict[str, dict]:
    """Folder -> the data set to prepare there, and the counts of made-up images (None: the real ones)."""
    found = {}
    for dataset, row in rows:
        counts, _ = _lightened(config, dataset, row)
        found[data_folder(config, dataset, counts)] = {"dataset": dataset, "synthetic": counts}
    return found


def _on_demand(config: dict, shown: dict) -> list[str]:
    """`dataset/row` of the rows that only chapters outside the plain report have: run when such a chapter is asked for."""
    chosen = config.get("chapters", [])
    for chapter in chosen:
        known(
            "chapter",
            chapter,
            [name for name, entry in shown.items() if entry["kind"] == "chapter"],
            "config, chapters",
        )
    always: set[str] = set()
    others: set[str] = set()
    for name, entry in shown.items():
        names = {f"{entry['dataset']}/{row['row']}" for row in entry["rows"] if row["system"]}
        (others if entry["kind"] == "chapter" and name not in chosen else always).update(names)
    return sorted(others - always)


BANNERS = {
    "smoke": "Smoke preset: small made-up images and a few steps of training. Networks, parameters and MACs are real; "
    "accuracies and seconds are not comparable with the paper's.",
    "quick": "Quick preset: the real data with a tenth of the epochs. Seconds per epoch are right; "
    "accuracies are not comparable with the paper's.",
    "paper": "Paper preset: the paper's protocol on the real data.",
}


def _wanted(config: dict, dataset: str, name: str, row: dict) -> bool:
    if "system" not in row or config["preset"] not in row.get("presets", PRESETS):
        return False
    if (
        row.get("precision") == "tf32" and config["device"] == "cpu"
    ):  # which has none: it would be an fp32 row by another name
        return False
    return any(fnmatch.fnmatchcase(f"{dataset}/{name}", pattern) for pattern in config.get("only", ["*"]))


def _shown(row: dict) -> dict:
    """A row as the report needs it."""
    return {
        "row": row["row"], "label": row["label"], "size": row.get("size"), "system": row.get("system"),
        "learn": row.get("learn"), "in_paper": "paper" in row, "paper": row.get("paper"), "note": row.get("note"),
        "selection": row.get("selection"),
    }  # fmt: skip


def entry_rows(plan: dict, name: str) -> set[str]:
    """`dataset/row` of every row of one table, figure or chapter that the plan runs."""
    entry = plan["tables"][name]
    wanted = {f"{entry['dataset']}/{row['row']}" for row in entry["rows"]}
    return {row_of(run) for run in plan["runs"]} & wanted


def report_rows(plan: dict) -> set[str]:
    """`dataset/row` of every row that the plain report waits for."""
    return {row_of(run) for run in plan["runs"]} - set(plan["on_demand"])
