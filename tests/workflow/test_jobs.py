"""Jobs: what is kept, cleared and taken over, what a failure leaves; with a stand-in engine, since the bookkeeping is tested here."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workflow.made_plans import plan_of, search_of, timing_of
from workflow import jobs
from workflow.__main__ import main
from workflow.plan.digests import expected_digests
from workflow.protocol.runs import Run
from workflow.records import state
from workflow.records.history import read_history
from workflow.records.records import read_failure, read_result, read_search, timing_path, write_record
from workflow.support.errors import UserError
from workflow.support.files import write_json

NET, SEARCHED, DILATED = "mnist/cifar-resnet-20", "cifar10/effconv-20-0.66m", "cifar10/dash-20-0.20m"
MADE_BY_THE_JOB = ("schema", "status", "run", "digests", "provenance")
PREDICTOR = {"kernel_predictor": "projected", "hidden": 64}  # in which the presets differ


@pytest.fixture
def plan():
    """One row with three seeds, in one job."""
    return plan_of(NET, seeds=[0, 1, 2], jobs={"rows": "one"})


def execute(plan, folder, attempt=1, forced=()):
    said = []
    job = jobs.Job("train", f"{NET}/all", plan, folder, log=said.append, attempt=attempt, forced=forced)
    return job.execute(), said


def test_a_job_leaves_records_and_a_stamp(engine, plan, tmp_path):
    assert execute(plan, tmp_path)[0] == 0
    record = read_result(tmp_path / f"runs/{NET}/seed1/result.json")
    assert Run.from_json(record["run"]) == plan.by_id[f"{NET}/seed1"]
    assert record["digests"]["run"] and record["provenance"]["data"]["train"] == "ab" * 32
    stamp = json.loads((tmp_path / f"jobs/train/{NET}/all.json").read_text())
    assert len(stamp["done"]) == 3 and stamp["failed"] == {}
    assert not (tmp_path / f"jobs/train/{NET}/all.running").exists()


def test_a_failure_stops_no_other_and_only_it_is_done_again(engine, plan, tmp_path):
    reason = "the loss is not finite at step 7: lower the learning rate."
    engine.faults[f"{NET}/seed1"] = ValueError(reason)
    assert execute(plan, tmp_path)[0] == 1 and len(engine.calls) == 3
    failure = json.loads((tmp_path / f"runs/{NET}/seed1/failure.json").read_text())
    assert (failure["reason"], failure["stage"]) == (reason, "train")
    assert not (tmp_path / f"jobs/train/{NET}/all.json").exists()
    engine.calls.clear(), engine.faults.clear()
    assert execute(plan, tmp_path)[0] == 0
    assert engine.calls == [f"{NET}/seed1"]
    assert not (tmp_path / f"runs/{NET}/seed1/failure.json").exists()


def test_an_unforeseen_error_keeps_its_trace_in_the_log(engine, plan, tmp_path):
    engine.faults[f"{NET}/seed0"] = KeyError("oops")
    status, said = execute(plan, tmp_path)
    assert status == 1 and any("Traceback" in line for line in said)


STAMP = f"jobs/train/{NET}/all.json"


@pytest.mark.parametrize(
    ("forced", "trained"),
    [
        ((), 0),
        (("train",), 3),
        (("prepare", STAMP), 3),
        (("search", "time", "table1", STAMP.replace("all", "seed0")), 0),
    ],
)
def test_what_is_done_is_kept_unless_the_user_forced_it(engine, plan, tmp_path, monkeypatch, forced, trained):
    """The stamp is gone after a kill of the launcher, in an unpacked bundle, and when data are prepared again, too."""
    monkeypatch.chdir(tmp_path)
    execute(plan, Path())
    Path(STAMP).unlink()  # as Snakemake does before it starts a job again, for whatever reason
    engine.calls.clear()
    assert execute(plan, Path(), forced=forced)[0] == 0 and Path(STAMP).exists()
    assert len(engine.calls) == trained


def test_a_forced_job_that_was_killed_goes_on(engine, plan, tmp_path):
    execute(plan, tmp_path)
    engine.faults[f"{NET}/seed2"] = KeyboardInterrupt()
    engine.calls.clear()
    with pytest.raises(KeyboardInterrupt):
        execute(plan, tmp_path, forced=["train"])
    engine.faults.clear(), engine.calls.clear()
    execute(plan, tmp_path, forced=["train"])
    assert engine.calls == [f"{NET}/seed2"]


def test_a_run_that_joins_a_finished_job_is_done_alone(engine, plan, tmp_path):
    first = replace(plan, jobs={**plan.jobs, "train": {f"{NET}/all": [f"{NET}/seed0", f"{NET}/seed1"]}})
    execute(first, tmp_path)
    (tmp_path / f"jobs/train/{NET}/all.json").unlink()
    engine.calls.clear()
    execute(plan, tmp_path)
    assert engine.calls == [f"{NET}/seed2"]


def test_records_of_other_settings_are_not_kept(engine, plan, tmp_path):
    engine.faults[f"{NET}/seed2"] = ValueError("no.")
    execute(plan, tmp_path)
    first, *others = plan.runs
    longer = replace(first, train=replace(first.train, recipe=first.train.recipe.with_epochs(3)))
    engine.calls.clear()
    execute(replace(plan, runs=(longer, *others)), tmp_path)
    assert engine.calls == [f"{NET}/seed0", f"{NET}/seed2"]


def test_out_of_time_is_no_failure(engine, plan, tmp_path):
    engine.faults[f"{NET}/seed1"] = engine.OutOfTime("epoch 3, step 12")
    status, said = execute(plan, tmp_path)
    assert status == jobs.STOPPED and "epoch 3, step 12" in said[-1]
    assert not (tmp_path / f"runs/{NET}/seed1/failure.json").exists()
    engine.faults.clear(), engine.calls.clear()
    assert execute(plan, tmp_path)[0] == 0
    assert engine.calls == [f"{NET}/seed1", f"{NET}/seed2"]


def test_a_restart_goes_on_and_does_not_try_a_failed_run_again(engine, plan, tmp_path):
    engine.faults[f"{NET}/seed0"] = ValueError("the loss is not finite.")
    engine.faults[f"{NET}/seed1"] = engine.OutOfTime("epoch 3, step 12")
    assert execute(plan, tmp_path)[0] == jobs.STOPPED
    engine.faults.clear(), engine.calls.clear()
    status, said = execute(plan, tmp_path, attempt=2)
    assert status == 1 and engine.calls == [f"{NET}/seed1", f"{NET}/seed2"]
    assert "failed in an earlier attempt: the loss is not finite." in said
    engine.calls.clear()
    assert execute(plan, tmp_path)[0] == 0 and engine.calls == [f"{NET}/seed0"]  # a new start tries it again


def test_of_an_unknown_job_the_nearest_is_named(plan, tmp_path):
    with pytest.raises(UserError, match=f"unknown train job '{NET}/al'; did you mean '{NET}/all'"):
        jobs.Job("train", f"{NET}/al", plan, tmp_path)
    with pytest.raises(UserError, match=f"unknown train job 'x'; the train jobs are {NET}/all."):
        jobs.Job("train", "x", plan, tmp_path)


@pytest.fixture
def searching():
    """One row with a search of its own, one seed."""
    return plan_of(SEARCHED, seeds=[0], jobs={"seeds": "one", "rows": "one", "timing": "row"})


@pytest.mark.parametrize(("more", "status"), [([], 1), (["--forgiving"], 0)])
def test_a_failed_search_has_its_exit_status_unless_its_training_reports_it(
    engine, searching, tmp_path, monkeypatch, more, status
):
    """Snakemake's rule asks for 0, and finds the stamp: else one search would stop the training of all rows of the job."""
    monkeypatch.chdir(tmp_path)
    write_json(Path("plan.json"), searching.to_json())
    engine.faults[f"{SEARCHED}/seed0"] = ValueError("no sizes fit.")
    words = ["--plan", "plan.json", "--results", "here", "--threads", "1"]
    assert main(["search", f"{SEARCHED}/seed0", *words, *more]) == status
    stamp = json.loads((tmp_path / f"here/jobs/search/{SEARCHED}/seed0.json").read_text())
    assert stamp["failed"] == {f"{SEARCHED}/seed0": "no sizes fit."}
    assert main(["train", f"{SEARCHED}/seed0", *words]) == 1
    failure = read_failure(tmp_path / f"here/runs/{SEARCHED}/seed0/failure.json")
    assert (failure["stage"], failure["reason"]) == ("train", "no sizes fit.")


def test_dilations_that_a_search_found_are_trained_with_its_sizes_and_kept_apart_by_their_digest(
    engine, tmp_path, monkeypatch
):
    plan = plan_of(DILATED, preset="short", seeds=[0], jobs={"seeds": "one"})
    (run,) = plan.runs
    path, train = tmp_path / "runs" / run.id, lambda: jobs.Job("train", run.id, plan, tmp_path).execute()
    found = search_of(run, digests={**expected_digests(run, "search"), "data": "ab" * 6}, dilations=[2, 1])
    write_record(path / "search.json", found)
    assert train() == 0
    assert engine.calls == [run.id] and engine.kernels[run.id] == {"kernel_sizes": [3, 5], "dilations": [2, 1]}
    assert read_result(path / "result.json")["digests"]["sizes"] == "3d2 5d1"
    write_record(path / "search.json", {**found, "dilations": [1, 1]})
    assert train() == 0 and engine.calls == [run.id] * 2  # another network


def test_a_row_is_timed_at_the_sizes_of_a_current_search_only(engine, searching, tmp_path):
    (run,), sizes = searching.runs, []

    def measure(run, data, *, kernel_sizes, **options):
        sizes.append(kernel_sizes)
        return {key: value for key, value in timing_of(run).items() if key not in MADE_BY_THE_JOB}

    engine.measure = measure
    time = lambda: jobs.Job("time", SEARCHED, searching, tmp_path).execute()
    failure = timing_path(tmp_path, run.dataset, run.row).with_suffix(".failure.json")
    search = lambda **digests: search_of(run, digests={**expected_digests(run, "search"), "data": "ab" * 6, **digests})
    path = tmp_path / "runs" / run.id / "search.json"
    for wrong in ({"effconv.mask": "0" * 12}, {"data": "cd" * 6}, {"run": "0" * 12}):
        write_record(path, search(**wrong))
        assert time() == 1 and not sizes
        assert read_failure(failure)["reason"] == f"{run.id} has no current search: train it first."
    write_record(path, search())
    assert time() == 0 and sizes == [[3, 5]] and not failure.exists()


def search(preset: str, folder: Path, log=lambda line: None, **user) -> dict:
    """Do the search of one run of a preset in `folder`; its record."""
    same = {"seeds": [0], "jobs": {"seeds": "one"}, "search_options": PREDICTOR}
    plan = plan_of(SEARCHED, preset=preset, **{**same, **user})
    (run,) = plan.runs
    assert jobs.Job("search", f"{SEARCHED}/seed{run.seed}", plan, folder, log=log).execute() == 0
    return read_search(folder / "runs" / run.id / "search.json")


def test_a_search_is_done_once_for_two_presets(engine, tmp_path):
    first, said = search("short", tmp_path / "short"), []
    epochs = [{"stage": stage, "epoch": epoch} for stage, epoch in (("search", 1), ("search", 2), ("train", 1))]
    histories = [tmp_path / name / "runs" / SEARCHED / "seed0" / "history.jsonl" for name in ("short", "paper")]
    histories[0].write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    second = search("paper", tmp_path / "paper", log=said.append)
    assert read_history(histories[1].parent) == epochs[:2]  # without them its record could not be filed
    assert engine.calls == [f"{SEARCHED}/seed0"]
    assert second["taken_from"] == f"short/{SEARCHED}/seed0" and "taken_from" not in first
    assert any("its sizes are taken from" in line for line in said)
    keys = ("sizes", "run", "provenance", "digests")
    assert [second[key] for key in keys] == [first[key] for key in keys]


def test_a_recorded_search_is_taken_over(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(state, "ROOT", tmp_path / "checkout")
    search("paper", tmp_path / "checkout/results/recorded/somewhere")
    record = search("short", tmp_path / "elsewhere/short")
    assert record["taken_from"] == f"somewhere/{SEARCHED}/seed0" and len(engine.calls) == 1


@pytest.mark.parametrize(
    "user",
    [
        {"seeds": [1]},
        {"search_options": {**PREDICTOR, "lr_size_predictor": 0.03}},
        {"epochs": {"search": 3}},
        {"images": {"search": 1000}},
        {"batch_size": 64},
        {"precision": "bf16"},
    ],
    ids=lambda user: next(iter(user)),
)
def test_a_search_of_another_description_is_not_taken_over(engine, tmp_path, user):
    search("short", tmp_path / "short")
    assert "taken_from" not in search("paper", tmp_path / "paper", **user) and len(engine.calls) == 2


TWIN = "cifar10/budget-only-20-0.66m"


def train_twins(folder, engine, between=lambda plan: plan, **job) -> tuple[dict, list[str]]:
    """Train one seed of two rows whose searches end with the same sizes; the second's result and what its job said."""
    plan, said = plan_of(SEARCHED, TWIN, preset="short", seeds=[0], jobs={"seeds": "one"}, search_options=PREDICTOR), []
    assert jobs.Job("train", f"{SEARCHED}/seed0", plan, folder, log=lambda line: None).execute() == 0
    first = folder / "runs" / SEARCHED / "seed0"
    epochs = [{"stage": "search", "epoch": 1}, *({"stage": "train", "epoch": epoch} for epoch in (1, 2))]
    (first / "history.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    (first / "predictions.npz").write_bytes(b"answers")
    engine.calls.clear()
    plan = between(plan)
    assert jobs.Job("train", f"{TWIN}/seed0", plan, folder, log=said.append, **job).execute() == 0
    return read_result(folder / "runs" / TWIN / "seed0" / "result.json"), said


def test_a_network_that_another_row_trained_is_not_trained_again(engine, tmp_path):
    own = tmp_path / "short/runs" / TWIN / "seed0"
    own.mkdir(parents=True)
    begun = [{"stage": "search", "epoch": 7}, {"stage": "train", "epoch": 5}]  # of a training that was cut off
    (own / "history.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in begun))
    (own / "train.previous.pt").touch()
    record, said = train_twins(tmp_path / "short", engine)
    assert engine.calls == [f"{TWIN}/seed0"]  # its search
    assert record["taken_from"] == f"{SEARCHED}/seed0" and any("trained the same network" in line for line in said)
    run = Run.from_json(record["run"])
    assert run.id == f"{TWIN}/seed0" and state.state_of(run, tmp_path / "short").status == "done"
    assert [(epoch["stage"], epoch["epoch"]) for epoch in read_history(own)] == [
        ("search", 7),
        ("train", 1),
        ("train", 2),
    ]
    assert (own / "predictions.npz").read_bytes() == b"answers" and not (own / "train.previous.pt").exists()


def changed_network(plan):
    """The second row in bfloat16."""
    return replace(plan, runs=tuple(replace(run, precision="bf16") if run.place == TWIN else run for run in plan.runs))


def other_sizes(engine, plan):
    """The second row's search finds others."""
    found = engine.search
    engine.search = lambda run, *rest, **options: {**found(run, *rest, **options), "sizes": [3, 4]}
    return plan


@pytest.mark.parametrize("why", ["bfloat16", "sizes", "forced"])
def test_another_network_or_one_that_was_asked_for_is_trained(engine, tmp_path, why):
    between = {
        "bfloat16": changed_network,
        "sizes": lambda plan: other_sizes(engine, plan),
        "forced": lambda plan: plan,
    }
    record, _ = train_twins(tmp_path / "short", engine, between[why], forced=["train"] if why == "forced" else [])
    assert engine.calls == [f"{TWIN}/seed0"] * 2 and "taken_from" not in record  # its search and its training


def test_a_search_of_other_code_or_data_is_not_taken_over(engine, tmp_path, monkeypatch):
    search("short", tmp_path / "short")
    expected = jobs.expected_digests
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "expected_digests", lambda *of: {**expected(*of), "workflow.engine.loop": "0" * 12})
        assert "taken_from" not in search("paper", tmp_path / "paper")
    monkeypatch.setattr(jobs.Job, "_data", lambda self, run: (None, {"train": "ef" * 32, "test": "cd" * 32}))
    assert "taken_from" not in search("paper", tmp_path / "other data")
    assert len(engine.calls) == 3
