# prepare -> search -> train -> time. A job's stamp is its only declared output: see workflow/jobs.py for why.
#
# The plan file is a parameter and no input: a run is redone when its own digests change, not whenever the plan is written.


def runs_of(stage, job):
    """The runs of a job; for the time stage, the first seed of each of its rows."""
    members = PLAN["jobs"][stage].get(job, [])
    if stage == "time":
        members = [f"{row}/seed{PLAN['seeds'][0]}" for row in members]
    return [run for run in PLAN["runs"] if run["id"] in members]


def manifests(stage):
    """The prepared data of a job."""
    return lambda wildcards: sorted(
        {f"{run['data']}/manifest.json" for run in runs_of(stage, wildcards.job)}
    )


def digests(stage, layer):
    """Digests of the modules of one layer behind a job's numbers ("run": of the runs' descriptions). One parameter a layer, so
    that Snakemake's reason names the layer that changed, with its modules before and after.
    """

    def of_job(wildcards):
        found = set()
        for run in runs_of(stage, wildcards.job):
            for name, digest in planning.expected_digests(run, stage).items():
                if name.split(".")[0] == layer:
                    found.add(
                        f"{run['id']} {digest}" if name == "run" else f"{name} {digest}"
                    )
        return sorted(found)

    return of_job


def learned(stage):
    """Stamps of the searches that a job's sizes come from."""

    def of_job(wildcards):
        needed = sources_of(runs_of(stage, wildcards.job))
        jobs = PLAN["jobs"]["search"]
        return [
            f"{RESULTS}/jobs/search/{job}.json"
            for job in jobs
            if needed & set(jobs[job])
        ]

    return of_job


THREADS = CONFIG.get("threads", 2 if ON_GPU else 1)


rule prepare:
    output:
        "{folder}/manifest.json",
    log:
        f"{LOGS}/prepare/{{folder}}.log",
    wildcard_constraints:
        folder="|".join(sorted(PLAN["prepare"])),
    conda:
        ENVIRONMENT
    resources:
        download=1,
    params:
        code=planning.data_digests() if PLAN["source"] == "synthetic" else "",
    shell:
        "python -m workflow prepare {wildcards.folder} --plan {PLAN_FILE} > {log} 2>&1"


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
        gpu=int(ON_GPU),
        attempt=lambda wildcards, attempt: attempt,
    params:
        run=digests("search", "run"),
        effconv=digests("search", "effconv"),
        baselines=digests("search", "baselines"),
        engine=digests("search", "workflow"),
    shell:
        "python -m workflow search {wildcards.job} --plan {PLAN_FILE} --threads {threads} --attempt {resources.attempt} > {log} 2>&1"


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
        gpu=int(ON_GPU),
        attempt=lambda wildcards, attempt: attempt,
    params:
        run=digests("train", "run"),
        effconv=digests("train", "effconv"),
        baselines=digests("train", "baselines"),
        engine=digests("train", "workflow"),
    shell:
        "python -m workflow train {wildcards.job} --plan {PLAN_FILE} --threads {threads} --attempt {resources.attempt} > {log} 2>&1"


# Alone on the machine, and last: it takes every core, and the whole pool of GPUs, so that nothing is scheduled beside it. On a cluster
# the profile asks for a node to itself.
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
    threads: THREADS if CLUSTER else workflow.cores
    resources:
        gpu=POOL if ON_GPU and not CLUSTER else int(ON_GPU),
        attempt=lambda wildcards, attempt: attempt,
    params:
        run=digests("time", "run"),
        effconv=digests("time", "effconv"),
        baselines=digests("time", "baselines"),
        engine=digests("time", "workflow"),
    shell:
        "python -m workflow time {wildcards.job} --plan {PLAN_FILE} --threads {threads} --attempt {resources.attempt} > {log} 2>&1"


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
        code=planning.primer_digests(),
    shell:
        "python -m workflow primer --plan {PLAN_FILE} > {log} 2>&1"
