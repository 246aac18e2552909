# What the rules ask of the plan: the inputs of a job or of a product, and the digests that it depends on.


def runs_of(stage, job):
    """The runs of a job; for the time stage, the first seed of each of its rows."""
    members = PLAN.jobs[stage].get(job, [])
    if stage == "time":
        members = [f"{row}/seed{PLAN.seeds[0]}" for row in members]
    return [run for run in PLAN.runs if run.id in members]


def manifests(stage):
    """The prepared data of a job."""
    return lambda wildcards: sorted(
        {f"{run.data}/manifest.json" for run in runs_of(stage, wildcards.job)}
    )


def digests(stage, layer):
    """Digests of the modules of one layer behind a job's numbers ("run": of the runs' descriptions). One parameter a layer, so
    that Snakemake's reason names the layer that changed, with its modules before and after.
    """

    def of_job(wildcards):
        found = set()
        for run in runs_of(stage, wildcards.job):
            for name, digest in code.expected_digests(run, stage).items():
                if name.split(".")[0] == layer:
                    found.add(
                        f"{run.id} {digest}" if name == "run" else f"{name} {digest}"
                    )
        return sorted(found)

    return of_job


def learned(stage):
    """Stamps of the searches that a job's sizes come from."""

    def of_job(wildcards):
        needed = sources_of(runs_of(stage, wildcards.job))
        jobs = PLAN.jobs["search"]
        return [
            f"{RESULTS}/jobs/search/{job}.json"
            for job in jobs
            if needed & set(jobs[job])
        ]

    return of_job


def stamps(rows):
    """Stamps of every job that the given rows (`dataset/row`) need before they can be shown."""
    wanted = {run.id: run.place for run in PLAN.runs}
    found = []
    for stage in ("train", "time"):
        for job, members in PLAN.jobs[stage].items():
            if rows & {wanted.get(member, member) for member in members}:
                found.append(f"{RESULTS}/jobs/{stage}/{job}.json")
    return found


@functools.cache
def estimates():
    """One for all jobs: it reads every timing that there is."""
    return Estimates(PLAN, Path(RESULTS))


def runtime(stage):
    """Minutes that a cluster is asked for; a job that is cut off goes on in the next sitting, and there are nine."""

    def of_job(wildcards):
        if not CLUSTER:
            return 0
        steps = [Step(stage, run.id) for run in runs_of(stage, wildcards.job)]
        return time_limit.minutes_to_ask(
            sum(estimates().seconds(step)[0] for step in steps)
        )

    return of_job
