"""What a rule of the claims finds on rows of made-up results."""

from dataclasses import replace

import report_factory as factory

from workflow.report.claims.claims import judge
from workflow.report.claims.rules import Setting
from workflow.report.results import gather


def found(
    tmp_path,
    part,
    *,
    accuracies=None,
    seconds=None,
    sizes=None,
    parameters=None,
    top5=None,
    preset="paper",
    seeds=(0, 1, 2),
    **options,
):
    """What a rule finds on rows a, b, ... of CIFAR-10 ("ours" is not in the paper) with accuracies, (train seconds, spread) and sizes.

    Accuracies and sizes are by seed.
    """
    names = list({**(accuracies or {}), **(seconds or {}), **(sizes or {}), **(parameters or {})})
    learn = options.get("learn")
    rows = [
        factory.entry(name, learn=learn or (660000 if sizes else None), paper=None if name == "ours" else {"acc": 90.0})
        for name in names
    ]
    rows.append(factory.entry("absent", system=None, paper={"acc": 90.0}))
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": rows}}, preset=preset, seeds=seeds)
    results = tmp_path / "results"
    for run in plan.runs:
        if preset not in ("paper", "short"):  # no protocol that has a name
            recipe = replace(run.train.recipe, epochs=3, batch_size=16)
            run = replace(run, train=replace(run.train, recipe=recipe))
        name, seed = run.row, run.seed
        if sizes and name in sizes and seed < len(sizes[name]):
            factory.write_search(results, run, sizes[name][seed], parameters=options.get("count"))
        if accuracies and name in accuracies and seed < len(accuracies[name]):
            factory.write_result(results, run, accuracies[name][seed], **({"top5": top5[name][seed]} if top5 else {}))
        elif parameters and name in parameters:
            factory.write_result(results, run, 90.0, parameters=parameters[name])
        if seconds and name in seconds:
            factory.write_timing(
                results,
                run,
                seconds[name][0],
                search=seconds[name][0] if run.search else None,
                spread=seconds[name][1],
            )
    source = options.get("source", "short" if preset == "short" else "paper")
    return judge(Setting(gather(plan, results), "cifar10", source), part)


def finding(*arguments, **options) -> str:
    """The verdict alone."""
    return found(*arguments, **options).verdict
