"""What a pipeline says of its progress, from records as Snakemake makes them."""

import logging
import time

from tests.workflow.made_plans import plan_of
from workflow.overview.progress import Progress


def test_a_person_reads_what_was_done_and_how_long_it_will_take(monkeypatch):
    plan = plan_of("mnist/vgg-5", "cifar10/cifar-resnet-20", "cifar10/cifar-resnet-32", seeds=[0])
    clock = iter([100.0, 130.0, 160.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    progress = Progress(plan)

    def record(event, message=None, **fields):
        made = logging.makeLogRecord({"event": event, "msg": message, **fields})
        return made if progress.filter(made) else None

    record("run_info", stats={"train": 2, "page": 1, "total": 3})
    assert record(None, "Building DAG of jobs...").msg == "Building DAG of jobs..."
    record("job_info", jobid=4, rule_name="train", wildcards={"job": "table2/all"})
    record("job_info", jobid=5, rule_name="page", wildcards={})
    assert record("job_finished", job_id=4) is None
    # A job costs three runs besides its own: the two training jobs have 2 + 3 and 1 + 3, the page has 3. 30 s for 5 of 12.
    said = record("progress", done=1, total=3)
    assert said.event is None
    assert said.msg == "1 of 3 steps done, about 42 s left; networks trained: table2/all (2)"
    assert record("job_finished", job_id=5) is None
    assert record("progress", done=2, total=3).msg.endswith("; the page is written")


def test_no_time_is_promised_for_real_images():
    progress = Progress(plan_of("mnist/vgg-5", preset="short"))
    progress.filter(logging.makeLogRecord({"event": "run_info", "stats": {"train": 5, "total": 5}}))
    progress.filter(
        logging.makeLogRecord(
            {"event": "job_info", "jobid": 1, "rule_name": "train", "wildcards": {"job": "mnist/vgg-5/seed0"}}
        )
    )
    progress.filter(logging.makeLogRecord({"event": "job_finished", "job_id": 1}))
    said = logging.makeLogRecord({"event": "progress", "done": 1, "total": 5})
    progress.filter(said)
    assert said.msg == "1 of 5 steps done; networks trained: mnist/vgg-5/seed0 (1)"
