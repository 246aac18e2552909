"""Do searches of a few epochs find sizes that images choose, and the same ones from seed to seed? Real CIFAR-10, EffConv-20 at 0.20M.

    python -m benchmarks.search_repeatability --out FOLDER [--rows ROW ...] [--options NAME=VALUE ...] [--epochs 2] [--seeds 3]

Each row's search runs with images and without, from the same seeds, by the suite's engine under preset `short`. Printed for each: the
mean correlation over pairs of seeds, over layers, of the sizes less those without images; how far they are apart on average; and the
share of the variance over layers that repeats (workflow/report/image_share.py). A finished search is kept in FOLDER and not run again.
`--options`: of the searches, on top of their rows'.
"""

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import yaml

from workflow import engine
from workflow.data import load
from workflow.plan.config import load as configuration
from workflow.plan.make import make_plan
from workflow.protocol.runs import Run
from workflow.report.image_share import image_share

ROWS = ("effconv-20-0.20m", "centred-20-0.20m", "ours-20-0.20m", "sampled-20-0.20m")


def soft_sizes(run: Run, folder: Path) -> list[float]:
    """Soft sizes at the end of a run's search, from its file where it was done before."""
    path = folder / "outcome.json"
    if not path.exists():
        outcome = engine.search(run, load(Path(run.data)), folder, digest="", log=lambda text: print(text, flush=True))
        path.write_text(json.dumps({"run": run.to_json(), **outcome}))
        for checkpoint in folder.glob("*.pt"):
            checkpoint.unlink()
    return json.loads(path.read_text())["last"]["soft_sizes"]


def repeatability(apart: np.ndarray) -> float:
    """Mean correlation over pairs of seeds; nan where a seed's sizes do not differ at all."""
    if (apart.std(1) == 0).any():
        return float("nan")
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in itertools.combinations(apart, 2)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=ROWS)
    parser.add_argument("--options", nargs="+", default=(), metavar="NAME=VALUE")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    changed = {name: yaml.safe_load(value) for name, value in (one.split("=") for one in arguments.options)}
    suffix = "".join(f"+{value}" for value in changed.values())
    seeds = list(range(arguments.seeds))
    plan = make_plan(
        configuration({"preset": "short", "seeds": seeds, "only": [f"cifar10/{row}" for row in arguments.rows]})
    )
    print(f"{arguments.epochs} epochs, seeds {seeds}")
    for row in arguments.rows:
        found: dict[str, list[list[float]]] = {"images": [], "none": []}
        for seed in seeds:
            run = plan.by_id[f"cifar10/{row}/seed{seed}"]
            for kind, values in found.items():
                options = {**run.search_stage.options, **changed, **({"data_free": True} if kind == "none" else {})}
                search = replace(run.search_stage, epochs=arguments.epochs, options=options)
                folder = arguments.out / f"{row}{suffix}" / kind / f"seed{seed}"
                folder.mkdir(parents=True, exist_ok=True)
                values.append(soft_sizes(replace(run, search=search), folder))
        apart = np.array(found["images"]) - np.array(found["none"])
        share = image_share(found["images"], found["none"])
        repeats = (
            "none"
            if share is None
            else f"{share.repeating.value:.0%} [{share.repeating.low:.0%}, {share.repeating.high:.0%}]"
        )
        print(
            f"{row + suffix:30} correlation {repeatability(apart):5.2f}   mean |difference| {np.abs(apart).mean():.3f}   "
            f"share {repeats}",
            flush=True,
        )


if __name__ == "__main__":
    main()
