# prepare -> search -> train -> time. A job's stamp is its only declared output: see workflow/jobs.py for why.
#
# The plan file is a parameter and no input: a run is redone when its own digests change, not whenever the plan is written.


THREADS = CONFIG.get("threads", 2 if ON_GPU else 1)


rule prepare:
    output:
        "{folder}/manifest.json",
    log:
        f"{LOGS}/prepare/{{folder}}.log",
    wildcard_constraints:
        folder="|".join(map(re.escape, sorted(PLAN.prepare))),
    conda:
        ENVIRONMENT
    resources:
        download=1,
    params:
        plan=PLAN_FILE,
        code=code.data_digests() if PLAN.source == "synthetic" else "",
    shell:
        "python -m workflow prepare {wildcards.folder:q} --plan {params.plan} > {log:q} 2>&1"


rule search:
    input:
        manifests("search"),
    output:
        f"{RESULTS}/jobs/search/{{job}}.json",
    log:
        f"{LOGS}/search/{{job}}.log",
    priority: 20
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **({"runtime": runtime("search")} if CLUSTER else {}),
        gpu=int(ON_GPU),
        attempt=lambda wildcards, attempt: attempt,
    params:
        plan=PLAN_FILE,
        run=digests("search", "run"),
        effconv=digests("search", "effconv"),
        baselines=digests("search", "baselines"),
        engine=digests("search", "workflow"),
    shell:
        "python -m workflow search {wildcards.job} --plan {params.plan} --threads {threads} --attempt {resources.attempt} --forgiving > {log} 2>&1"


rule train:
    input:
        manifests("train"),
        learned("train"),
    output:
        f"{RESULTS}/jobs/train/{{job}}.json",
    log:
        f"{LOGS}/train/{{job}}.log",
    priority: 10
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **({"runtime": runtime("train")} if CLUSTER else {}),
        gpu=int(ON_GPU),
        attempt=lambda wildcards, attempt: attempt,
    params:
        plan=PLAN_FILE,
        run=digests("train", "run"),
        effconv=digests("train", "effconv"),
        baselines=digests("train", "baselines"),
        engine=digests("train", "workflow"),
    shell:
        "python -m workflow train {wildcards.job} --plan {params.plan} --threads {threads} --attempt {resources.attempt} > {log} 2>&1"


# Where it measures, it takes every core and the whole pool of GPUs, so that nothing is scheduled beside it.
rule time:
    input:
        manifests("time"),
        learned("time"),
    output:
        f"{RESULTS}/jobs/time/{{job}}.json",
    log:
        f"{LOGS}/time/{{job}}.log",
    conda:
        ENVIRONMENT
    threads: workflow.cores if ALONE else THREADS
    resources:
        gpu=POOL if ON_GPU and not CLUSTER else int(ON_GPU),
        attempt=lambda wildcards, attempt: attempt,
    params:
        plan=PLAN_FILE,
        run=digests("time", "run"),
        effconv=digests("time", "effconv"),
        baselines=digests("time", "baselines"),
        engine=digests("time", "workflow"),
    shell:
        "python -m workflow time {wildcards.job} --plan {params.plan} --threads {threads} --attempt {resources.attempt} > {log} 2>&1"


# The primer's statements need no data and no run; some are times, so it has the machine to itself. One thread.
rule statements:
    output:
        f"{RESULTS}/primer.json",
    log:
        f"{LOGS}/primer.log",
    conda:
        ENVIRONMENT
    threads: THREADS if CLUSTER else workflow.cores
    params:
        plan=PLAN_FILE,
        code=primer_digests(),
    shell:
        "python -m workflow primer --plan {params.plan} > {log} 2>&1"
