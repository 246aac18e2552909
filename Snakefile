# The suite's index: configuration, stages, targets. `snakemake --list-target-rules` names the targets; config/README.md the settings.
#
# Nothing that this file imports imports torch, so that `snakemake -n` takes a few seconds.
import functools
import importlib.util
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.12")
HERE = Path(
    workflow.basedir
)  # in this file `workflow` is Snakemake's object; `from workflow import` finds our package
sys.path.insert(0, str(HERE))

from workflow.jobs import AGAIN
from workflow.machine import lease, time_limit
from workflow.overview.estimates import Estimates
from workflow.overview.progress import Progress
from workflow.plan import digests as code
from workflow.plan.make import make_plan
from workflow.plan.config import load
from workflow.plan.row_sizes import sources_of
from workflow.plan.steps import Step
from workflow.primer.record import primer_digests
from workflow.report.results import sources
from workflow.support.code_digests import text_digest
from workflow.support.errors import UserError
from workflow.support.files import read_yaml, write_json


configfile: HERE / "config" / "config.yaml"


try:
    CONFIG = load(config)
    PLAN = make_plan(CONFIG)
    pool = lease.pool(CONFIG)
except UserError as error:
    raise WorkflowError(str(error))

RESULTS = f"results/{PLAN.preset}"
LOGS = f"{RESULTS}/logs"
PLAN_FILE = f"{RESULTS}/plan.json"
GIVEN_FILE = f"{RESULTS}/config.json"  # what the user gave, for commands that plan for themselves
REPORT_DIGEST = code.report_digest()
PLAN_DIGEST = text_digest(json.dumps({**PLAN.to_json(), "why": None}, sort_keys=True))
ENVIRONMENT = str(HERE / "environment.yml")
ON_GPU = PLAN.device == "cuda"
logger.addFilter(Progress(PLAN))

CLUSTER = CONFIG.get(
    "cluster", False
)  # jobs run on other machines, which their scheduler hands out

# Seconds are measured alone on the machine: those of made-up images are none, and a cluster's profile asks for a whole node.
ALONE = PLAN.source == "real" and not CLUSTER

# A rule's `gpu: 1` limits nothing without a pool, and the user's command does not set one. --resources gpu=N wins.
if pool and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", pool)
POOL = (
    workflow.global_resources["gpu"]
    if "gpu" in workflow.global_resources
    else int(ON_GPU)
)
POOL = getattr(POOL, "value", POOL)  # later Snakemakes wrap the number

# Conda's jobs start with PYTHONPATH cleared, and --directory moves them away from the code. Without conda a job's `python` is the one
# that runs Snakemake, whether or not its environment is activated. A PYTHONPATH of the user's comes after ours; its braces are doubled,
# since Snakemake fills in what stands in single ones.
CONDA = any(
    method.name == "CONDA" for method in workflow.deployment_settings.deployment_method
)
shell.prefix(
    f"set -euo pipefail; export PYTHONPATH={shlex.quote(str(HERE))}"
    + '"${{PYTHONPATH:+:$PYTHONPATH}}"; '
    + ("" if CONDA else f"export PATH='{Path(sys.executable).parent}':\"$PATH\"; ")
)


wildcard_constraints:
    job=r"[a-z0-9][\w./-]*",
    product="|".join(PLAN.tables),


# On a cluster these stay where the pipeline was started: short, or in need of a network.
localrules:
    all,
    report,
    claims,
    plan,
    prepare,
    aggregate,
    table,
    figure,
    chapter,
    judge,
    page,
    page_so_far,


# Here and not among the targets: an included file cannot set the default.
rule all:
    input:
        "reports/index.html",


include: "workflow/rules/common.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/stages.smk"
include: "workflow/rules/times.smk"
include: "workflow/rules/report.smk"
