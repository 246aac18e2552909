"""The self-check: on the CPU for real, on a GPU by pretended answers; what it keeps, and what it says is wrong."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from workflow import __main__ as commands
from workflow.check import canary, check, equality, preflight, side_by_side
from workflow.check.equality import KINDS, QUICK, compare
from workflow.check.side_by_side import VARIANTS, Work, measure
from workflow.machine import gpu_pool
from workflow.overview import estimates
from workflow.plan.config import load
from workflow.plan.make import make_plan
from workflow.plan.steps import Step
from workflow.support.errors import UserError

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_plan(load({"preset": "smoke", "device": "cpu", "only": ["mnist/cifar-resnet-20"]}))


def test_a_quick_check_of_this_machine(plan, tmp_path, monkeypatch):
    """One kind of training and one that is to fail: the others are compared in test_engine_replayed.py, without the processes."""
    assert set(QUICK) <= KINDS.keys()
    kinds = ("SGD, even kernels", "guard: other numbers")
    monkeypatch.setattr(equality, "QUICK", kinds)
    said = []
    assert check.Check(plan, quick=True, log=said.append).run() == 0
    ((name, record),) = json.loads((tmp_path / "results" / "selfcheck.json").read_text()).items()
    assert name == record["device"] == record["provenance"]["cpu"] and record["trouble"] == []
    assert record["torch"] == record["provenance"]["torch"] and record["quick"]
    assert [record["equality"][kind]["equal"] for kind in kinds] == [True, True] and len(record["equality"]) == 2
    assert record["equality"]["SGD, even kernels"]["text"] == "equal to the last bit"
    assert record["equality"]["guard: other numbers"]["text"].startswith("caught: a replayed step leaves other ")
    assert said[-1] == "ready; kept in results/selfcheck.json"
    assert not check.checked("cpu")  # a campaign still does the whole one


def test_a_check_holds_for_its_card_driver_torch_and_code(plan, monkeypatch):
    where = {"device": "NVIDIA H100", "driver": "580.1", "torch": "2.13.0", "code": "abc"}
    monkeypatch.setattr(check, "place", lambda device: dict(where))
    assert not check.checked("cuda")
    gpu_pool.keep("NVIDIA H100", {**where, "side_by_side": {"train": 4}, "quick": False})
    assert check.checked("cuda")
    for key in where:
        monkeypatch.setattr(check, "place", lambda device, key=key: {**where, key: "another"})
        assert not check.checked("cuda")


@pytest.mark.parametrize(
    ("words", "known", "status"),
    [(["--if-new"], True, 0), (["--if-new"], False, 7), ([], True, 7)],
)
def test_a_machine_that_is_known_is_not_checked_again_where_so_asked(plan, monkeypatch, words, known, status):
    monkeypatch.setattr(commands, "_plan", lambda options: plan)
    monkeypatch.setattr(check, "checked", lambda device: known)
    monkeypatch.setattr(check.Check, "run", lambda self: 7)
    assert commands.main(["check", *words]) == status


def answering(monkeypatch, **answers):
    """Every kind of training is found equal, but those that are given."""
    equal = {"equal": True, "text": ""}
    monkeypatch.setattr(check.Check, "_some_kinds", lambda self, names: {n: answers.get(n, equal) for n in names})


def test_a_quick_check_lets_the_speed_stand_that_a_whole_one_has_measured(plan, monkeypatch):
    answering(monkeypatch)
    where, speed = check.place("cpu"), {"side_by_side": {}, "macs_per_second": {"train": 4e10}}
    for earlier, whole in (({**where, "quick": False}, True), ({**where, "code": "older", "quick": False}, False)):
        gpu_pool.keep(where["device"], {**earlier, **speed})
        assert check.Check(plan, quick=True, log=lambda text: None).run() == 0
        (record,) = gpu_pool.read(gpu_pool.HERE).values()
        assert (
            speed.items() <= record.items()
            and where.items() <= record.items()
            and set(record["equality"]) == set(QUICK)
        )
        assert check.checked("cpu") is whole


def test_what_is_not_the_step_is_trouble_and_the_status_says_so(plan, monkeypatch):
    answering(
        monkeypatch, **{"SGD, even kernels": {"equal": False, "text": "apart by 3.0e-01 of what training changes"}}
    )
    said = []
    assert check.Check(plan, quick=True, log=said.append).run() == 1
    assert "    WRONG SGD, even kernels: apart by 3.0e-01 of what training changes" in said
    assert said[-1].startswith("1 things to mend first")


@pytest.mark.parametrize(
    ("code", "reason"), [("import sys; sys.exit('no such device')", "no such device"), ("", "no word")]
)
def test_a_process_that_fails_is_trouble_with_its_last_word(plan, monkeypatch, code, reason):
    real = check.subprocess.run
    monkeypatch.setattr(check.subprocess, "run", lambda command, **how: real([command[0], "-S", "-c", code], **how))
    found = check.Check(plan, quick=True, log=print)._some_kinds(["one", "two"])
    assert found == dict.fromkeys(["one", "two"], {"equal": False, "text": f"failed: {reason}"})


def test_what_the_host_reads_is_not_captured():
    found = compare(KINDS["guard: no capture"], CPU)
    assert found["equal"] and found["text"].startswith("caught: ")


def test_processes_train_side_by_side():
    memory, speeds = measure(Work(), [1, 2], device="cpu", seconds=0.3)
    assert set(speeds) == {1, 2} and min(speeds.values()) > 1 and memory > 100


def test_a_process_that_fails_says_why():
    with pytest.raises(UserError, match=r"a job on cuda:99 failed \(.+\): mend that first"):
        measure(Work(), [2], device="cuda:99", seconds=0.1)


def test_a_process_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(side_by_side, "PATIENCE", 0.1)
    with pytest.raises(UserError, match=r"failed \(no answer in 0 s\)"):
        measure(Work(), [1], device="cpu", seconds=0.1)


def test_kernels_that_grow_are_taken_in_the_middle_of_training():
    network = side_by_side.endless(Work("flexnet16"), CPU).step.model
    sizes = lambda: [side for size in (network.decide(), network.kernel_sizes())[1] for side in size]
    middle = sizes()
    network.pretend_sizes("start")
    assert max(middle) > 2 * max(sizes())


def test_on_a_gpu_every_kind_gets_as_many_jobs_as_pay_and_fit(plan, tmp_path, monkeypatch):
    """Pretended speeds and memory of an H100: literal states of 15 GB, growing kernels that the host holds up."""
    from workflow.machine import lease

    speeds = {
        "train": (2_000, {1: 40_000, 2: 70_000, 4: 90_000, 6: 91_000, 8: 90_000}), "growing": (9_000, {1: 2_000, 2: 3_900, 4: 7_500}),
        "search": (3_000, {1: 20_000, 2: 30_000, 4: 30_500}), "literal": (15_100, {1: 4_000}),
    }  # fmt: skip
    works = {id(work): name for name, work in side_by_side.JOBS.items()}

    def measured(work, counts, *, device, seconds):
        if work == VARIANTS["train, tf32"]:
            raise UserError("a job on cuda:0 failed (no tf32): mend that first.")
        return speeds.get(works.get(id(work)), (1_000, {1: 10.0}))

    monkeypatch.setattr(side_by_side, "measure", measured)
    monkeypatch.setattr(lease, "_cuda_count", lambda: 1)
    monkeypatch.setattr(lease, "lease", lambda *a, **k: __import__("contextlib").nullcontext("cuda:0"))
    properties = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    one = check.Check(replace(plan, device="cuda"), quick=False, log=lambda text: None)
    found = one._speed()
    assert found["side_by_side"] == {"train": 4, "growing": 4, "search": 2, "literal": 1}
    assert one.trouble == ["train, tf32: a job on cuda:0 failed (no tf32): mend that first."]
    assert found["memory_mb"]["literal"] == 15_100
    # The rates are such that estimates give these speeds back: 50,000 images, 164 epochs of training, 10 of a search.
    gpu_pool.keep("pretended", found)
    monkeypatch.setattr(estimates, "device_name", lambda kind: "pretended")
    rows = {"only": ["cifar10/cifar-resnet-20", "cifar10/effconv-20-0.66m"], "seeds": [0]}
    options = {"search_options": {"kernel_predictor": "projected"}}
    paper = make_plan(load({"preset": "paper", "device": "cuda", "cluster": True, **rows, **options}))
    cost = estimates.Estimates(paper, tmp_path / "results" / "paper", recorded=tmp_path)
    expected = {
        Step("train", "cifar10/cifar-resnet-20/seed0"): 164 * 50_000 / 40_000,
        Step("search", "cifar10/effconv-20-0.66m/seed0"): 10 * 50_000 / 20_000,
    }
    for step, seconds in expected.items():
        assert cost.seconds(step) == (pytest.approx(estimates.STARTUP + seconds, rel=1e-3), "from MACs, rate checked")
    # By hand: 40,551,040 multiply-accumulates an image of ResNet-20, three times in training.
    assert found["macs_per_second"]["train"] == 40_000 * 3 * 40_551_040


def test_what_loses_on_a_processor_is_said():
    assert canary.sentences({"fp32": 1.0, "bf16": 0.5, "compiled": 0.9}) == []
    slow, none = canary.sentences({"fp32": 1.0, "bf16": 14.0, "compiled": "cannot be run here"})
    assert slow.startswith("bfloat16 takes 14.0 times as long as float32")
    assert none == "compiled code cannot be run here: leave it off."


def test_the_canary_times_a_real_convolution(monkeypatch):
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")  # the compiled form without a C++ compiler, which may take a minute
    found = canary.canary(limit=60)
    assert set(found) == set(canary.FORMS) and all(0 < seconds < 10 for seconds in found.values())


def test_a_compiler_that_does_not_come_back_is_ended(tmp_path, monkeypatch):
    stuck = tmp_path / "python"
    stuck.write_text("#!/bin/sh\necho '{\"fp32\": 0.5}'\nsleep 600\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stuck))
    late = "was not ready after 1 s"
    assert canary.canary(limit=1) == {"fp32": 0.5, "bf16": late, "compiled": late}


SMI = """#!/bin/sh
case "$1" in
  *memory.free*) echo "40000, 81559" ;;
  *compute_mode*) echo "{mode}, {mig}, 700.00, 1980, 1980, 0x0" ;;
  *compute-apps*) echo 1; echo 2 ;;
  *) echo 580.1 ;;
esac
"""


def test_a_card_that_is_set_up_otherwise_gets_a_sentence_each(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(SMI.format(mode="Exclusive_Process", mig="Enabled"))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(preflight.gpus, "cuda_names", lambda: ["pretended"])
    exclusive, split, others, memory = preflight.on_the_card()
    assert "nvidia-smi -c DEFAULT" in exclusive and "MIG" in split
    assert others.startswith("2 other processes") and "40,000 of 81,559 MB" in memory
    tool.write_text(SMI.format(mode="[N/A]", mig="[N/A]").replace("40000, 81559", "[N/A], [N/A]"))
    assert [sentence.split()[:2] for sentence in preflight.on_the_card()] == [["2", "other"]]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert preflight.on_the_card() == []


def test_a_disk_without_room_gets_a_sentence(plan, tmp_path, monkeypatch):
    assert preflight.on_the_disk(plan, tmp_path) == []
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000))
    (sentence,) = preflight.on_the_disk(plan, tmp_path)
    assert sentence.startswith("preset smoke takes up to ") and sentence.endswith("0.0 GB are free: make room.")
