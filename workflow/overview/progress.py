"""What a pipeline says while it runs, in place of Snakemake's numbers of jobs: what was done, how much is to do, the time left."""

import time
from typing import Any

from workflow.plan.plan import Plan
from workflow.support.durations import spelled_out

NOISE = ("Select jobs to execute", "Execute ")
STARTUP = 3.0  # what a job costs besides its runs, in runs; by it the jobs of a stage are weighed against others
WORDS = {
    "prepare": "images are ready: {folder}", "search": "kernel sizes learned: {job}", "train": "networks trained: {job}",
    "time": "rows timed: {job}", "aggregate": "results gathered", "page": "the page is written",
}  # fmt: skip


class Progress:
    """A filter of Snakemake's log. Time left is told of made-up images, where runs are alike; `plan` tells of real ones."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.jobs: dict[int, tuple[str, dict]] = {}  # a job's number -> its rule and wildcards
        self.work, self.done, self.last = 0.0, 0.0, ""
        self.began = 0.0

    def filter(self, record: Any) -> bool:
        """Notes what Snakemake tells of its jobs, and says it in words. Whether a record is shown."""
        event = getattr(record, "event", None)
        if event is None and str(record.msg).startswith(NOISE):
            return False
        if event == "run_info":
            self.work = sum(count * self._mean(rule) for rule, count in record.stats.items() if rule != "total")
        elif event == "job_info":
            self.began = self.began or time.monotonic()
            self.jobs[record.jobid] = (record.rule_name, dict(record.wildcards))
        elif event == "job_finished":
            rule, wildcards = self.jobs.get(record.job_id, ("", {}))
            self.done += self._weight(rule, wildcards.get("job", ""))
            self.last = self._words(rule, wildcards)
            return False
        elif event == "progress":
            record.event, record.msg = None, f"{record.done} of {record.total} steps done{self._left()}{self.last}"
        return True

    def _weight(self, rule: str, job: str) -> float:
        return STARTUP + len(self.plan.jobs.get(rule, {}).get(job, []))

    def _mean(self, rule: str) -> float:
        """The weight of a rule's jobs, on average; those that only a chapter asks for left out."""
        jobs, later = self.plan.jobs.get(rule, {}), set(self.plan.on_demand)
        wanted = [job for job, members in jobs.items() if not {m.rpartition("/seed")[0] or m for m in members} <= later]
        return sum(self._weight(rule, job) for job in wanted) / len(wanted) if wanted else STARTUP

    def _left(self) -> str:
        if self.plan.source == "real" or self.done < self.work / 10 or self.done >= self.work:
            return ""
        left = (time.monotonic() - self.began) * (self.work - self.done) / self.done
        return f", about {spelled_out(max(left, 1))} left"

    def _words(self, rule: str, wildcards: dict) -> str:
        if rule not in WORDS:
            return f"; {rule}" if rule else ""
        runs = len(self.plan.jobs.get(rule, {}).get(wildcards.get("job", ""), []))
        return f"; {WORDS[rule].format(**wildcards)}{f' ({runs})' if runs else ''}"
