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
    write_json(Path(PLAN_FILE), PLAN.to_json())
    logger.info(
        f"Preset {PLAN.preset} ({PLAN.why}), device {PLAN.device}, {len(PLAN.runs)} runs. {PLAN.banner}"
    )
    for dataset, sentence in PLAN.unavailable.items():
        logger.info(f"The rows of {dataset} have to wait: {sentence}")
    logger.info(
        "Another: --config preset=smoke|short|paper. Costs, run by run: snakemake plan. Progress: python -m workflow status"
    )


onsuccess:
    if Path("reports/index.html").exists():
        logger.info("The report is reports/index.html")


# Whatever was measured is worth showing, with the failures and their reasons in place of what is missing.
onerror:
    launcher = sys.executable if importlib.util.find_spec("matplotlib") else None
    pythons = (
        [launcher]
        if launcher
        else sorted(map(str, Path(".snakemake/conda").glob("*/bin/python")))
    )
    if pythons and Path(PLAN_FILE).exists():
        shell(
            f"'{pythons[-1]}' -m workflow report --partial --plan {PLAN_FILE} || true"
        )
        logger.info(
            "Some runs failed: reports/partial/index.html shows them with their reasons; the same command tries them again."
        )
