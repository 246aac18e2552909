# Records -> runs.csv, tables, figures, claims, page.

# What a chapter needs beside the runs of its rows.
BESIDE_RUNS = {"primer": [f"{RESULTS}/primer.json"]}

# What `times` has measured so far: all that shows seconds is made again when there is more of it.
TIMED = sorted(
    str(path)
    for path in Path("results/times/timings").glob("*/*.json")
    if not code.is_failure(path)
)

# The records of other presets and those under results/recorded, which all products read: of no job, so they are no input.
EVIDENCE = code.records_digest(
    [*sources(Path(RESULTS)), Path("results"), Path("results/recorded")]
)


rule aggregate:
    input:
        stamps(PLAN.report_rows),
        TIMED,
    output:
        f"{RESULTS}/runs.csv",
        f"{RESULTS}/summary.csv",
    log:
        f"{LOGS}/report/aggregate.log",
    conda:
        ENVIRONMENT
    params:
        plan=PLAN_FILE,
        plan_digest=PLAN_DIGEST,
        code=REPORT_DIGEST,
        evidence=EVIDENCE,
    shell:
        "python -m workflow report aggregate --plan {params.plan} --out reports > {log} 2>&1"


rule table:
    input:
        lambda wildcards: stamps(PLAN.rows_of(wildcards.product)),
        TIMED,
    output:
        multiext("reports/tables/{product}", ".csv", ".md", ".tex"),
    log:
        f"{LOGS}/report/{{product}}.log",
    conda:
        ENVIRONMENT
    params:
        plan=PLAN_FILE,
        plan_digest=PLAN_DIGEST,
        code=REPORT_DIGEST,
        evidence=EVIDENCE,
    shell:
        "python -m workflow report {wildcards.product} --plan {params.plan} --out reports > {log} 2>&1"


use rule table as figure with:
    output:
        multiext("reports/figures/{product}", ".svg", ".png", ".csv"),


use rule table as chapter with:
    input:
        lambda wildcards: stamps(PLAN.rows_of(wildcards.product)),
        lambda wildcards: BESIDE_RUNS.get(wildcards.product, []),
        TIMED,
    output:
        "reports/chapters/{product}.csv",


rule judge:
    input:
        stamps(PLAN.report_rows),
        TIMED,
    output:
        "reports/claims.csv",
    log:
        f"{LOGS}/report/claims.log",
    conda:
        ENVIRONMENT
    params:
        plan=PLAN_FILE,
        plan_digest=PLAN_DIGEST,
        code=REPORT_DIGEST,
        evidence=EVIDENCE,
    shell:
        "python -m workflow report claims --plan {params.plan} --out reports > {log} 2>&1"


rule page:
    input:
        f"{RESULTS}/summary.csv",
        PAGES_SO_FAR,
        TIMED,
        [
            file
            for name in CONFIG.get("chapters", [])
            for file in BESIDE_RUNS.get(name, [])
        ],
    output:
        "reports/index.html",
    log:
        f"{LOGS}/report/page.log",
    conda:
        ENVIRONMENT
    params:
        plan=PLAN_FILE,
        plan_digest=PLAN_DIGEST,
        code=REPORT_DIGEST,
        evidence=EVIDENCE,
    shell:
        "python -m workflow report page --plan {params.plan} --out reports > {log} 2>&1"
