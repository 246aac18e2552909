# The names that people type. A run that two targets share is done once.


rule report:
    input:
        "reports/index.html",


rule claims:
    input:
        "reports/claims.csv",


for name, entry in PLAN.tables.items():

    rule:
        name:
            name
        input:
            f"reports/{entry.kind}s/{name}.csv",


# On a GPU the page is made anew when a table's rows are trained, in reports/partial/, hours before the last row is.
rule page_so_far:
    input:
        lambda wildcards: [
            stamp
            for stamp in stamps(PLAN.rows_of(wildcards.product))
            if stamp.startswith(f"{RESULTS}/jobs/train/")
        ],
    output:
        touch(f"{RESULTS}/jobs/page/{{product}}.done"),
    log:
        f"{LOGS}/report/so_far_{{product}}.log",
    priority: 30
    conda:
        ENVIRONMENT
    params:
        plan=PLAN_FILE,
    shell:
        "python -m workflow report page --plan {params.plan} --partial > {log} 2>&1"


PAGES_SO_FAR = [
    f"{RESULTS}/jobs/page/{name}.done"
    for name, entry in PLAN.tables.items()
    if ON_GPU
    and entry.kind == "table"
    and PLAN.rows_of(name)
    and entry.dataset not in PLAN.unavailable
]


# Prints every run, why it would run, its estimated cost, and the sum. Trains nothing.
rule plan:
    log:
        f"{LOGS}/plan.log",
    conda:
        ENVIRONMENT
    params:
        plan=PLAN_FILE,
    shell:
        "python -m workflow plan --plan {params.plan} | tee {log}"


# The jobs read the plan from its file. It is written here and not by a rule: with a rule, a plan that is about to be written made
# Snakemake 9.27 forget what `-R train` had forced.
onstart:
    # Jobs keep what is done, for whatever reason they start. What the user forces (-R, -F, -f) is handed on to them from here, where the
    # settings are known; a job on another machine is always forced, and has no hooks.
    told = workflow.dag_settings
    targets = told.targets if told.forcetargets else ()
    again = {*told.forcerun, *targets, *(PLAN.jobs if told.forceall else ())}
    os.environ[AGAIN] = " ".join(os.path.relpath(name) for name in again)
    write_json(Path(PLAN_FILE), PLAN.to_json())
    write_json(Path(GIVEN_FILE), config)
    logger.info(
        f"Preset {PLAN.preset} ({PLAN.why}), device {PLAN.device}, {len(PLAN.runs)} runs. {PLAN.banner}"
    )
    for dataset, sentence in PLAN.unavailable.items():
        logger.info(f"The rows of {dataset} have to wait: {sentence}")
    # In a process of its own, since counting takes torch and some seconds; the smoke preset takes minutes.
    if PLAN.source == "real" and importlib.util.find_spec("torch"):
        shell(
            f"'{sys.executable}' -m workflow plan --plan {PLAN_FILE} --brief || true"
        )
    # What is wrong with a card is said, and stops nothing: training goes on uncaptured where it has to.
    if ON_GPU and not CLUSTER and importlib.util.find_spec("torch"):
        shell(
            f"'{sys.executable}' -m workflow check --plan {PLAN_FILE} --if-new || true"
        )
    logger.info(
        "Another: --config preset=smoke|short|paper. Costs, run by run: snakemake plan. Progress: python -m workflow status"
    )


onsuccess:
    if Path("reports/index.html").exists():
        logger.info("The report is reports/index.html")


# Whatever was measured is worth showing, with the failures and their reasons in place of what is missing; a plan measures nothing.
onerror:
    launcher = sys.executable if importlib.util.find_spec("matplotlib") else None
    pythons = (
        [launcher]
        if launcher
        else sorted(map(str, Path(".snakemake/conda").glob("*/bin/python")))
    )
    if pythons and Path(PLAN_FILE).exists() and "plan" not in sys.argv:
        shell(
            f"'{pythons[-1]}' -m workflow report --partial --plan {PLAN_FILE} || true"
        )
        logger.info(
            "Some runs failed: reports/partial/index.html shows them with their reasons; the same command tries them again."
        )
