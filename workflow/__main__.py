"""`python -m workflow COMMAND`: every stage without Snakemake, and a look at what is planned, running and done.

The rules call the same commands. Exit status: 0 done, 1 something failed (one sentence on stderr), 75 stopped at its time limit.
"""

import argparse
import io
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

from workflow.support.errors import UserError
from workflow.support.files import read_yaml, write_json

try:  # config/datasets.yaml is read when they are imported
    from workflow.plan.config import load
    from workflow.plan.plan import Plan, read_plan
except UserError as error:
    sys.exit(f"error: {error}")

RESULTS, REPORTS = Path("results"), Path("reports")


def _given(options: argparse.Namespace) -> dict:
    """What the user gave on top of config/config.yaml: --configfile and --preset."""
    user = read_yaml(options.configfile) if options.configfile else {}
    return {**user, "preset": options.preset} if options.preset else user


def _use_threads(threads: int) -> None:
    """CPU threads of this process; before torch is imported, which reads the environment."""
    from workflow.machine.lease import thread_environment

    os.environ.update(thread_environment(threads))
    import torch

    torch.set_num_threads(threads)


def _plan(options: argparse.Namespace, **defaults: str) -> Plan:
    """The plan of --plan FILE, or the one made from the configuration; `defaults`: keys of it unless the user gives them."""
    if options.plan is None:
        from workflow.plan.make import make_plan

        return make_plan(load({**defaults, **_given(options)}))
    if options.configfile:
        raise UserError(f"--plan {options.plan} says already what --configfile would: take one of them out.")
    return read_plan(options.plan)


def _results(plan: Plan) -> Path:
    return RESULTS / plan.preset


def plan_command(options: argparse.Namespace) -> int:
    """Print every run, why it would run, its estimated cost, and the sum; with --out, write plan.json instead."""
    if options.out and options.on:
        raise UserError("--out writes the plan, which has no timings for --on to choose among: take one of them out.")
    plan = _plan(options)
    if options.out:
        write_json(options.out, plan.to_json())
        return 0
    from workflow.overview.plan_listing import print_brief, print_plan

    if options.brief:
        return print_brief(plan, _results(plan), device=options.on)
    status = print_plan(plan, _results(plan), device=options.on)
    if options.hours is not None:
        from workflow.campaign.campaign import print_best
        from workflow.overview.estimates import Estimates

        estimates = Estimates(plan, _results(plan), device=options.on)
        print_best(plan, _results(plan), estimates, options.hours)
    return status


def status_command(options: argparse.Namespace) -> int:
    """List runs done, running, failed and waiting."""
    from workflow.overview.status import print_status

    plan = _plan(options)
    return print_status(plan, _results(plan))


def prepare_command(options: argparse.Namespace) -> int:
    """Prepare a data set into memory-mapped arrays with a manifest: the real one, from its files or downloaded.

    With --made-up the images that the smoke preset makes up. A folder of the plan in place of the name: what the plan puts there.
    """
    from workflow.data import prepare
    from workflow.data.imagefolder import dataset_info

    plan, name = _plan(options), options.dataset
    if name in plan.prepare:
        wanted = {name: plan.prepare[name]}
    elif options.made_up:
        entries = plan.prepare.items()
        wanted = {out: entry for out, entry in entries if entry["dataset"] == name and entry["synthetic"]}
        if not wanted:
            raise UserError(
                f"preset {plan.preset} makes up no images of '{name}': add --preset smoke, or correct the name."
            )
    else:
        dataset_info(name, Path(plan.data))  # a name that is no data set's is refused before anything is made
        wanted = {f"{plan.data}/prepared/{name}": {"dataset": name, "synthetic": None}}
    for out, entry in wanted.items():
        made_up = entry["synthetic"]
        source = "synthetic" if made_up else "auto"
        manifest = prepare(entry["dataset"], source=source, folder=Path(plan.data), out=Path(out), synthetic=made_up)
        counts = {split: found["images"] for split, found in manifest["splits"].items()}
        print(f"{entry['dataset']}: {counts['train']} training and {counts['test']} test images in {out}")
    return 0


def data_command(options: argparse.Namespace) -> int:
    """List each data set: found or not, where, how big, verified or not, what to do."""
    from workflow.overview.datasets import main

    return main(Path(load(read_yaml(options.configfile) if options.configfile else {})["data"]))


def _print_line_by_line() -> None:
    """Progress is seen at once where the output is a file or a pipe, too."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def job_command(options: argparse.Namespace) -> int:
    """Do one job of a stage (search, train, time): the runs that the plan gives it."""
    from workflow.jobs import AGAIN, Job
    from workflow.machine import time_limit

    _use_threads(options.threads)
    plan = _plan(options)
    _print_line_by_line()
    limit = time_limit.seconds(options.minutes, plan.time_limit)
    results = options.results or _results(plan)
    forced = os.environ.get(AGAIN, "").split()
    job = Job(options.command, options.job, plan, results, limit=limit, attempt=options.attempt, forced=forced)
    status = job.execute()
    return 0 if status == 1 and options.forgiving else status


def times_command(options: argparse.Namespace) -> int:
    """Seconds per epoch on this machine of the rows of Tables 1 to 4, Figure 3 and the newer methods, with made-up pixels: no data set
    is needed."""
    _use_threads(options.threads)
    from workflow.machine import time_limit
    from workflow.times.times import chosen_runs, time_rows, times_plan

    plan = times_plan(_given(options))
    limit = time_limit.seconds(options.minutes, None)  # the configuration's is of searches and training
    minutes = None if limit is None else limit / 60
    return time_rows(plan, options.out, chosen_runs(plan, options.rows), minutes=minutes)


def claim_command(options: argparse.Namespace) -> int:
    """Run exactly what one claim of the paper rests on, its cost said first, and judge it."""
    _use_threads(options.threads)
    from workflow.campaign.claim import OneClaim

    _print_line_by_line()
    return OneClaim(options.id, _given(options), RESULTS, REPORTS).run(cost_only=options.cost)


def check_command(options: argparse.Namespace) -> int:
    """Is this machine ready: replayed steps against plain ones, memory, speed, how many jobs share its GPU. Minutes."""
    from workflow.check.check import Check, checked

    _print_line_by_line()
    plan = _plan(options)
    return 0 if options.if_new and checked(plan.device) else Check(plan, quick=options.quick).run()


def campaign_command(options: argparse.Namespace) -> int:
    """Do the most valuable unfinished runs that fit into --minutes, in the folder --out; or file such a folder with --collect."""
    filing = {"--name": options.name, "--other-code": options.other_code or None}
    doing = {
        "--minutes": options.minutes, "--out": options.out, "--side-by-side": options.side_by_side,
        "--preset": options.preset, "--configfile": options.configfile,
    }  # fmt: skip
    if idle := [name for name, value in (doing if options.collect else filing).items() if value is not None]:
        if options.collect:
            raise UserError(f"{idle[0]} is for doing a campaign, and --collect files one: take one of them out.")
        raise UserError(f"{idle[0]} is for filing a campaign: add --collect DIR, or take it out.")
    if options.collect:
        from workflow.campaign.collection import collect_all

        name = options.name or "campaign"
        return collect_all(options.collect, RESULTS / "recorded", name, other_code=options.other_code)
    if options.out is None or options.minutes is None:
        raise UserError("campaign needs --minutes N and --out DIR, or --collect DIR: add them.")
    from workflow.campaign.conduct import conduct

    words = ["--configfile", str(options.configfile)] if options.configfile else []
    conduct(_given(options), options.out, minutes=options.minutes, words=words, jobs=options.side_by_side)
    return 0


def primer_command(options: argparse.Namespace) -> int:
    """Compute the kernel-size primer's statements, and what a size costs in each layer of ResNet-20, into primer.json."""
    from workflow.machine.lease import thread_environment

    os.environ.update(thread_environment(1))  # times are of one thread
    from workflow.primer.stage import compute
    from workflow.primer.statement import shown

    plan = _plan(options)
    _print_line_by_line()
    for found in compute(plan.preset, _results(plan))["statements"]:
        print(f"{shown(found['printed']):>24}  {shown(found['computed']):>24}  {found['verdict']:24}  {found['text']}")
    return 0


def report_command(options: argparse.Namespace) -> int:
    """Make one product of the report (a table, figure or chapter, claims), or all of them and the page, from whatever is there.

    While runs are missing it goes to reports/partial: Snakemake would take the files of an unfinished report for finished ones.
    """
    from workflow.report import products

    plan = _plan(options)
    results = _results(plan)
    out = options.out or (REPORTS if products.complete(plan, results) else REPORTS / "partial")
    products.write(options.product, plan, results, out)
    if options.product == "page":
        print(f"The report is {out / 'index.html'}")
    return 0


def docs_command(options: argparse.Namespace) -> int:
    """Make the page from results/recorded alone, as it is kept in docs/: index.html and runs.html."""
    from workflow.plan.make import make_plan
    from workflow.report.page.page import write

    write(
        make_plan(load({"preset": "short", "device": "cpu"})),
        RESULTS / "recorded",
        options.out or Path("docs"),
        published=True,
    )
    return 0


def bundle_command(options: argparse.Namespace) -> int:
    """Pack records, page and plan, with RO-Crate metadata, into one archive to be deposited or sent; preset short unless told."""
    from workflow.bundle import bundle

    plan = _plan(options, preset="short")
    bundle(plan, _results(plan), REPORTS / "bundle", options.out)
    return 0


def names_command(options: argparse.Namespace) -> int:
    """Print the names that config/tables.yaml may use: systems or recipes."""
    from workflow.plan.catalogue import systems
    from workflow.protocol import recipes

    print("\n".join(systems() if options.command == "systems" else recipes.names()))
    return 0


def _whole(text: str) -> int:
    """A whole number above 0 of the command line."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0: give 1 or more")
    return number


def _finite(text: str) -> float:
    """A number of the command line, neither infinite nor none."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"'{text}' is no finite number: give one, such as 30")
    return number


def _positive(text: str) -> float:
    """A finite number above 0 of the command line."""
    number = _finite(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0: give more")
    return number


def _settings(*, plan: bool) -> argparse.ArgumentParser:
    """The options that say what is planned; `plan`: a plan that is there can stand for them."""
    options = argparse.ArgumentParser(add_help=False)
    either = options.add_mutually_exclusive_group()
    if plan:
        text = "a plan.json; without it the plan is made from the configuration"
        either.add_argument("--plan", type=Path, help=text)
    presets = ["auto", "smoke", "short", "paper"]
    either.add_argument("--preset", choices=presets, help="default: config/config.yaml's")
    options.add_argument("--configfile", type=Path, help="YAML on top of config/config.yaml")
    return options


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m workflow", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    of_plan, of_settings = _settings(plan=True), _settings(plan=False)
    threads = argparse.ArgumentParser(add_help=False)
    threads.add_argument("--threads", type=_whole, default=os.cpu_count(), help="CPU threads (default: all)")

    def add(name: str, function: Callable[..., int], *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        text = function.__doc__ or ""
        command = commands.add_parser(name, help=text.splitlines()[0], description=text, parents=list(parents))
        command.set_defaults(function=function)
        return command

    planned = add("plan", plan_command, of_plan)
    shown = planned.add_mutually_exclusive_group()
    shown.add_argument("--out", type=Path, help="write plan.json here")
    shown.add_argument("--brief", action="store_true", help="the sum and the longest rows only")
    shown.add_argument("--hours", type=_positive, help="list what is worth most in so many hours, best first")
    planned.add_argument("--on", metavar="NAME", help="a part of the name of the device whose timings to use")
    add("status", status_command, of_plan)
    add("data", data_command).add_argument("--configfile", type=Path, help="YAML on top of config/config.yaml")
    prepared = add("prepare", prepare_command, of_plan)
    prepared.add_argument("dataset", help="a data set's name, or a folder of the plan")
    prepared.add_argument("--made-up", action="store_true", help="make images up instead")
    for stage in ("search", "train", "time"):
        command = add(stage, job_command, of_plan, threads)
        command.add_argument("job")
        command.add_argument("--results", type=Path, help="folder of the records; default: results/PRESET")
        command.add_argument("--attempt", type=_whole, default=1, help="a restart's number; from 2 on, failures stand")
        command.set_defaults(forgiving=False)
        if stage == "search":
            forgiving = "status 0 where a run failed: its training says so"
            command.add_argument("--forgiving", action="store_true", help=forgiving)
        # Here and for times 0 or less is a limit, too: a campaign hands on what is left to it.
        command.add_argument(
            "--minutes", type=_finite, help="stop cleanly after so many minutes; the same command continues"
        )
    times = add("times", times_command, of_settings, threads)
    times.add_argument("--rows", nargs="+", default=[], metavar="GLOB", help="dataset/row, or patterns; default: all")
    times.add_argument("--out", type=Path, default=RESULTS / "times", help="folder; the same one goes on")
    times.add_argument("--minutes", type=_finite, help="start no row that would end later; the same command continues")
    claim = add("claim", claim_command, of_settings, threads)
    claim.add_argument("id", help="a claim of config/claims.yaml")
    claim.add_argument("--cost", action="store_true", help="say what it would cost, and stop")
    campaign = add("campaign", campaign_command, of_settings)
    campaign.add_argument("--minutes", type=_positive, help="time from now, all in")
    campaign.add_argument("--out", type=Path, help="folder for everything; the same one goes on")
    campaign.add_argument("--side-by-side", type=_whole, metavar="N", help="searches and training jobs at a time")
    campaign.add_argument("--collect", type=Path, metavar="DIR", help="check DIR and file it under results/recorded")
    campaign.add_argument("--name", help="name of that folder; default: campaign")
    campaign.add_argument("--other-code", action="store_true", help="file records that other code has made, too")
    check = add("check", check_command, of_plan)
    check.add_argument("--quick", action="store_true", help="a few kinds of training, nothing about speed")
    check.add_argument("--if-new", action="store_true", help="only where card, driver, torch or code are not known")
    add("primer", primer_command, of_plan)
    report = add("report", report_command, of_plan)
    report.add_argument("product", nargs="?", default="page")
    where = report.add_mutually_exclusive_group()
    where.add_argument(
        "--partial", action="store_const", const=REPORTS / "partial", dest="out", help="into reports/partial"
    )
    where.add_argument("--out", type=Path, help="folder; default: reports, or reports/partial while runs are missing")
    add("docs", docs_command).add_argument("--out", type=Path, help="folder; default: docs")
    add("bundle", bundle_command, of_plan).add_argument("--out", type=Path, required=True, help="the archive, NAME.zip")
    add("systems", names_command)
    add("recipes", names_command)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = parser().parse_args(arguments)
    try:
        return options.function(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `python -m workflow plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
