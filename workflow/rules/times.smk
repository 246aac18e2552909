# Seconds without data sets, and a target a claim. Alone on the machine, as the time stage is. The commands know what is there already
# and plan for themselves, so their rules declare no files.

# A cluster's node is shared unless a job asks for all of it. Here and not in a profile, where every claim would have to be named.
WHOLE_NODE = {"slurm_extra": "--exclusive"} if CLUSTER else {}


rule times:
    log:
        f"{LOGS}/times.log",
    conda:
        ENVIRONMENT
    threads: THREADS if CLUSTER else workflow.cores
    resources:
        **WHOLE_NODE,
        gpu=POOL if ON_GPU and not CLUSTER else int(ON_GPU),
    params:
        given=GIVEN_FILE,
    shell:
        "python -m workflow times --configfile {params.given} --threads {threads} 2>&1 | tee {log}"


for claim in read_yaml(HERE / "config" / "claims.yaml")["claims"]:

    rule:
        name:
            f"claim-{claim['id']}"
        log:
            f"{LOGS}/claims/{claim['id']}.log",
        conda:
            ENVIRONMENT
        threads: THREADS if CLUSTER else workflow.cores
        resources:
            **WHOLE_NODE,
            gpu=POOL if ON_GPU and not CLUSTER else int(ON_GPU),
        params:
            id=claim["id"],
            given=GIVEN_FILE,
        shell:
            "python -m workflow claim {params.id} --configfile {params.given} --threads {threads} 2>&1 | tee {log}"
