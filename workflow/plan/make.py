"""From the configuration to the plan. Torch-free: the Snakefile asks it at every `snakemake -n`.

Tables and figures only name rows; a row that two of them share is run once.
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workflow.plan import row_sizes, search_options
from workflow.plan.catalogue import catalogue, check_name, entries_of, load_tables
from workflow.plan.config import PRESETS
from workflow.plan.plan import Entry, EntryRow, Plan
from workflow.protocol import recipes
from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import Recipe
from workflow.protocol.runs import Run, Search, Training
from workflow.protocol.search_methods import DEFAULT
from workflow.support.errors import UserError


def data_folder(config: dict, dataset: str, counts: dict | None = None) -> str:
    """Where a data set lies prepared; made-up ones carry their counts, so that presets cannot mix them up."""
    base = f"{config['data']}/prepared"
    return f"{base}/synthetic-{dataset}-{counts['train']}-{counts['test']}" if counts else f"{base}/{dataset}"


def _smoke_overrides(config: dict, dataset: str, row: dict) -> tuple[dict | None, dict]:
    """(counts of made-up images or None for real ones, the system's arguments) of a row; less for systems that are heavy."""
    arguments = row.get("arguments", {})
    if config["source"] == "real":
        return None, arguments
    heavy = config.get("heavy")
    if heavy and any(fnmatch.fnmatchcase(row["system"], pattern) for pattern in heavy["systems"]):
        return heavy["synthetic"], {**arguments, **heavy["arguments"]}
    return config["synthetic"][dataset], arguments


def unavailable(config: dict, datasets: set[str]) -> dict[str, str]:
    """Data set -> what to do, for those that are neither here nor to be downloaded. Their rows wait; nothing else does."""
    if config["source"] == "synthetic":
        return {}
    from workflow.data.download import DOWNLOADABLE  # here, since only the real data sets need numpy at planning
    from workflow.data.layouts import find, missing

    folder, sentences = Path(config["data"]), {}
    for dataset in sorted(datasets - set(DOWNLOADABLE)):
        found, lacking = find(dataset, folder)
        if not found and not Path(data_folder(config, dataset), "manifest.json").exists():
            sentences[dataset] = str(missing(DATASETS[dataset], folder, lacking))
    return sentences


def _training(config: dict, recipe: Recipe) -> Training:
    """The training stage of a run by the preset's protocol: the recipe's own, the short one, or the configuration's numbers."""
    short, epochs = config.get("short"), config["epochs"]
    count = epochs.get("train") or max(1, round(recipe.epochs * epochs.get("factor", 1)))
    if short and recipe.dataset in short["epochs"]:
        count = count if config["own_epochs"] else short["epochs"][recipe.dataset]
        made = recipe.shortened(count, peak=short["peak"], weight_decay=short["weight_decay"])
        protocol = "short"
    else:
        made = recipe.with_epochs(count)
        protocol = "paper" if made == recipe else "changed"
    images = config.get("images", {}).get("train")
    if "batch_size" in config:
        made = replace(made, batch_size=config["batch_size"])
    if images or config["source"] != "real" or "batch_size" in config or config["changed"]:
        protocol = "changed"
    return Training(recipe=made, images=images, protocol=protocol)


def _search(config: dict, learn: dict | None, planned: int, recipe: Recipe) -> Search | None:
    """The search stage of a row with `learn`; `planned`: the data set's epochs of a search."""
    if learn is None:
        return None
    if "batch_size" in config:
        recipe = replace(recipe, batch_size=config["batch_size"])
    epochs = config["epochs"].get("search") or learn.get("epochs", planned)
    images = config.get("images", {}).get("search")
    whole = config["source"] == "real" and epochs == planned and not images and "batch_size" not in config
    return Search(
        epochs=epochs, recipe=recipe, parameters=learn.get("parameters"), macs=learn.get("macs"),
        method=learn.get("method", DEFAULT), options={**config["search_options"], **learn.get("options", {})}, images=images,
        protocol="paper" if whole else "changed",
    )  # fmt: skip


def _run(config: dict, protocol: dict, dataset: str, row: dict, seed: int, seeds: Sequence[int]) -> Run:
    """One run, described wholly. `seeds`: those of its row, which may be more than the configuration's."""
    recipe = recipes.recipe(row.get("recipe", protocol["recipe"]), dataset)
    counts, arguments = _smoke_overrides(config, dataset, row)
    turns = max(config["seeds"], seeds, key=len)
    sized = row_sizes.resolve({**row, "arguments": arguments}, dataset, seed, turns)
    return Run(
        id=f"{dataset}/{row['row']}/seed{seed}", dataset=dataset, row=row["row"], label=row["label"], seed=seed,
        system=row["system"], arguments=sized.get("arguments", arguments), constants=DATASETS[dataset],
        data=data_folder(config, dataset, counts), train=_training(config, recipe),
        search=_search(config, row.get("learn"), protocol["search_epochs"], recipe), sizes=sized.get("sizes"),
        precision=row.get("precision", config["precision"]), device=config["device"],
        deterministic=config.get("deterministic", False), compile=row.get("compile", config.get("compile", False)),
    )  # fmt: skip


def _jobs(
    config: dict, runs: Sequence[Run], homes: dict[str, str], absent: dict[str, str]
) -> dict[str, dict[str, list[str]]]:
    """Stage -> job name -> run ids (search, train) or `dataset/row` (time).

    `homes`: the table or figure that defines a row. `absent`: data sets whose runs have to wait.
    """
    jobs: dict[str, dict[str, list[str]]] = {"search": {}, "train": {}, "time": {}}
    for run in runs:
        if {run.dataset, run.sizes.run.split("/")[0] if run.sizes else None} & absent.keys():
            continue
        group = homes[run.place] if config["jobs"].get("rows") == "table" else run.place
        job = f"{group}/seed{run.seed}" if config["jobs"]["seeds"] == "one" else f"{group}/all"
        jobs["train"].setdefault(job, []).append(run.id)
        if run.search:
            jobs["search"].setdefault(job, []).append(run.id)
        clock = jobs["time"].setdefault(run.place if config["jobs"]["timing"] == "row" else homes[run.place], [])
        if run.place not in clock:
            clock.append(run.place)
    return jobs


def make_plan(config: dict, tables: dict | None = None) -> Plan:
    """The plan of a configuration: its runs, the jobs that do them, and the tables and figures with their rows resolved."""
    tables = tables or load_tables()
    rows = catalogue(tables)
    chosen = [key for key, row in rows.items() if _wanted(config, *key, row)]
    # Rows whose sizes start from another row's search bring that row with them.
    chosen += [key for key in {row_sizes.source(rows[key], key[0]): 0 for key in chosen} if key and key not in chosen]
    if not chosen:
        raise UserError(
            f"config: key 'only' ({config['only']}) matches no row with a system: `snakemake plan` lists them."
        )
    learned = [rows[key]["learn"] for key in chosen if "learn" in rows[key]]
    for method in dict.fromkeys(learn.get("method", DEFAULT) for learn in learned):
        search_options.check(config["search_options"], method, "config, search_options")
    for dataset in {d for d, _ in chosen}:
        if config["source"] == "synthetic" and dataset not in config.get("synthetic", {}):
            raise UserError(
                f"config: key 'synthetic' has no numbers of images for '{dataset}': add them to config/presets/smoke.yaml."
            )
    runs = tuple(
        _run(config, tables["datasets"][d], d, rows[d, r], seed, seeds)
        for d, r in chosen
        for seeds in [_seeds(config, rows, (d, r))]
        for seed in seeds
    )
    _check_sources(runs)
    entries = entries_of(tables)
    homes = {
        f"{entry['dataset']}/{row['row']}": name
        for name, entry in entries.items()
        for row in entry["rows"]
        if isinstance(row, dict)
    }
    shown = {name: _entry(entry, rows) for name, entry in entries.items()}
    absent = unavailable(config, {dataset for dataset, _ in chosen})
    return Plan(
        preset=config["preset"], why=config["why"], banner=BANNERS[config["preset"]] + config["changed"],
        seeds=tuple(config["seeds"]), device=config["device"], source=config["source"], data=config["data"],
        prepare=_prepare(config, [(d, rows[d, r]) for d, r in chosen]),
        timing=config["timing"], time_limit=config.get("time_limit"), runs=runs, unavailable=absent,
        on_demand=_on_demand(config, shown), jobs=_jobs(config, runs, homes, absent), tables=shown,
    )  # fmt: skip


def _check_sources(runs: Sequence[Run]) -> None:
    """A UserError for a run that takes its sizes from a search that no run of the plan does."""
    planned = {run.id for run in runs}
    for run in runs:
        if run.sizes and run.sizes.run not in planned:
            raise UserError(
                f"{run.id} takes its sizes from the search of {run.sizes.run}, which is not planned: give {run.place} and "
                f"{run.sizes.run.rpartition('/')[0]} the same seeds (keys 'seeds' and 'fewer_seeds', and 'seeds' of a row)."
            )


def _prepare(config: dict, rows: list[tuple[str, dict]]) -> dict[str, dict]:
    """Folder -> the data set to prepare there, and the counts of made-up images (None: the real ones)."""
    found = {}
    for dataset, row in rows:
        counts, _ = _smoke_overrides(config, dataset, row)
        found[data_folder(config, dataset, counts)] = {"dataset": dataset, "synthetic": counts}
    return found


def _on_demand(config: dict, shown: dict[str, Entry]) -> tuple[str, ...]:
    """`dataset/row` of the rows that only chapters outside the plain report have: run when such a chapter is asked for."""
    chosen = config.get("chapters", [])
    for chapter in chosen:
        chapters = [name for name, entry in shown.items() if entry.kind == "chapter"]
        check_name("chapter", chapter, chapters, "config, chapters")
    always: set[str] = set()
    others: set[str] = set()
    for name, entry in shown.items():
        places = {f"{entry.dataset}/{row.row}" for row in entry.rows if row.system}
        (others if entry.kind == "chapter" and name not in chosen else always).update(places)
    return tuple(sorted(others - always))


BANNERS = {
    "smoke": "Smoke preset: small made-up images and a few steps of training. Networks, parameters and MACs are real; "
    "accuracies and seconds are not comparable with the paper's.",
    "short": "Short preset: the real data, all images, few epochs with a learning rate that falls to zero. Rows can be compared with "
    "each other; accuracies are not the paper's. Seconds per epoch and searches are.",
    "paper": "Paper preset: the paper's protocol on the real data.",
}


def _seeds(config: dict, rows: dict[tuple[str, str], dict], key: tuple[str, str]) -> list[int]:
    """The seeds of a row: the preset's, the first few of them where its `fewer_seeds` names the row, or as many as the row says."""
    fewer, place = config.get("fewer_seeds", {"rows": []}), "/".join(key)
    named = {group: any(fnmatch.fnmatchcase(place, p) for p in fewer.get(group, [])) for group in ("rows", "but")}
    seeds = config["seeds"][: fewer["seeds"]] if named["rows"] and not named["but"] else config["seeds"]
    origin = row_sizes.source(rows[key], key[0])
    searched = _seeds(config, rows, origin) if origin else None
    return row_sizes.seeds_of(rows[key], seeds, more=config["preset"] != "smoke", searched=searched)


def _wanted(config: dict, dataset: str, name: str, row: dict) -> bool:
    if "system" not in row or config["preset"] not in row.get("presets", PRESETS):
        return False
    if (
        row.get("precision") == "tf32" and config["device"] == "cpu"
    ):  # which has none: it would be an fp32 row by another name
        return False
    return any(fnmatch.fnmatchcase(f"{dataset}/{name}", pattern) for pattern in config.get("only", ["*"]))


def _entry(entry: dict, rows: dict[tuple[str, str], dict]) -> Entry:
    """A table, figure or chapter with its rows as the report shows them."""
    names = [row if isinstance(row, str) else row["row"] for row in entry["rows"]]
    shown = []
    for row in (rows[entry["dataset"], name] for name in names):
        kept = {key: row[key] for key in ("size", "system", "learn", "note", "selection") if key in row}
        shown.append(
            EntryRow(
                row=row["row"],
                label=row["label"],
                in_paper="paper" in row,
                paper=row.get("paper", {}),
                draws=row.get("sizes", {}).get("draw") == "seed",
                **kept,
            )
        )
    kept = {key: entry[key] for key in ("reference", "text", "x_label", "paper") if key in entry}
    return Entry(
        kind=entry["kind"], title=entry["title"], dataset=entry["dataset"], rows=tuple(shown),
        questions=tuple(entry.get("questions", ())), x=tuple(entry.get("x", ())), **kept,
    )  # fmt: skip
