"""A real campaign on made-up images, killed and gone on, and filed; what is no sound record, or not the plan's, is refused.

It runs as on a borrowed machine, without any package but torch, NumPy and PyYAML.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from workflow.campaign.collection import collect, collect_all
from workflow.machine import gpu_pool
from workflow.records.records import read_predictions, read_result, read_search
from workflow.support.errors import UserError

pytestmark = pytest.mark.slow

SETTINGS = """
preset: smoke
device: cpu
only: ["mnist/effconv-20-0.66m"]
seeds: [0]
data: data
synthetic: {mnist: {train: 64, test: 16}}
epochs: {search: 1, train: 3}
timing: {slices: 1, slice_seconds: 0.05}
"""
BARE = """
import sys
for name in "jsonschema timm torchvision scipy pandas jinja2 matplotlib snakemake torchdiffeq PIL".split():
    sys.modules[name] = None
"""
RUN = "mnist/effconv-20-0.66m/seed0"


class Real:
    """A campaign's command in a folder of its own."""

    def __init__(self, base, root):
        (base / "bare").mkdir()
        (base / "bare" / "sitecustomize.py").write_text(BARE)
        (base / "settings.yaml").write_text(SETTINGS)
        self.base, self.out = base, base / "out" / "smoke"
        self.environment = {**os.environ, "PYTHONPATH": f"{root}:{base / 'bare'}", "OMP_NUM_THREADS": "1"}

    def start(self) -> subprocess.Popen:
        words = ["campaign", "--configfile", "settings.yaml", "--minutes", "19", "--side-by-side", "1", "--out", "out"]
        command = [sys.executable, "-m", "workflow", *words]
        return subprocess.Popen(
            command, cwd=self.base, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture(scope="module")
def real(tmp_path_factory, root):
    """A campaign killed in the middle of training, and its processes with it, then started again and done."""
    real = Real(tmp_path_factory.mktemp("campaign"), root)
    first, limit = real.start(), time.monotonic() + 200
    checkpoint = real.out / "runs" / RUN / "train.pt"
    while not checkpoint.exists():
        assert first.poll() is None and time.monotonic() < limit, first.stdout.read()
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    real.killed_before_the_end = not (real.out / "runs" / RUN / "result.json").exists()
    second = real.start()
    real.text, _ = second.communicate(timeout=300)
    assert second.returncode == 0, real.text
    return real


def test_a_killed_campaign_goes_on(real):
    assert real.killed_before_the_end
    result = read_result(real.out / "runs" / RUN / "result.json")
    assert result["sittings"] == 2 and result["epochs"] == 3
    assert "train: going on at " in (real.out / "logs/train" / f"{RUN}.log").read_text()
    assert f"started search {RUN}" not in real.text  # done before the kill
    summary = json.loads((real.out / "campaign.json").read_text())
    assert summary["steps"] == {f"train {RUN}": "done"}


def test_what_it_leaves_can_be_copied_and_filed(real, tmp_path, capsys):
    copied = shutil.copytree(real.out, tmp_path / "home")
    assert collect(copied, tmp_path / "recorded", "h200") == 0
    filed = tmp_path / "recorded" / "h200"
    assert read_result(filed / "runs" / RUN / "result.json")["run"]["id"] == RUN
    assert read_search(filed / "runs" / RUN / "search.json")
    assert read_predictions(filed / "runs" / RUN / "predictions.npz", 16)[0].shape == (16,)
    assert not list(filed.rglob("*.pt"))
    assert "% after 3 epochs" in capsys.readouterr().out
    assert collect(copied, tmp_path / "recorded", "h200") == 0  # a second time changes nothing


def test_a_campaign_is_collected_while_it_goes_on_and_again_at_its_end(real, tmp_path, capsys):
    """Of a training that has not ended, neither its epochs nor its files; then both are added to what is filed."""
    whole, copied = real.out / "runs" / RUN, shutil.copytree(real.out, tmp_path / "under way")
    (copied / "runs" / RUN / "result.json").unlink()
    history = copied / "runs" / RUN / "history.jsonl"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:-1]))  # its last epoch is still to come
    assert collect(copied, tmp_path / "recorded", "h200") == 0
    filed, said = tmp_path / "recorded" / "h200" / "runs" / RUN, capsys.readouterr().out
    assert sorted(path.name for path in filed.iterdir()) == ["history.jsonl", "run.json", "search.json"]
    assert [json.loads(line)["stage"] for line in (filed / "history.jsonl").read_text().splitlines()] == ["search"]
    assert "sizes " in said and "%" not in said
    assert collect(real.out, tmp_path / "recorded", "h200") == 0
    assert collect(copied, tmp_path / "recorded", "h200") == 0  # an older copy once more takes nothing away
    assert (filed / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()
    assert read_result(filed / "result.json") == read_result(whole / "result.json")


def test_a_search_that_was_taken_over_is_filed_with_its_training_or_not_at_all(real, tmp_path, capsys):
    first, later = (shutil.copytree(real.out, tmp_path / name) for name in ("search", "training"))
    (first / "runs" / RUN / "result.json").unlink()
    edit(later / "runs" / RUN / "search.json", lambda search: search.update(taken_from=f"h200/{RUN}"))
    assert collect(first, tmp_path / "recorded", "h200") == 0
    filed = tmp_path / "recorded" / "h200" / "runs" / RUN
    before = (filed / "search.json").read_bytes()
    assert collect(later, tmp_path / "recorded", "h200") == 0  # beside the search that it was taken from
    assert (filed / "search.json").read_bytes() == before and read_result(filed / "result.json")
    assert collect(later, tmp_path / "recorded", "h100") == 0
    assert read_search(tmp_path / "recorded" / "h100" / "runs" / RUN / "search.json")["taken_from"] == f"h200/{RUN}"
    (later / "runs" / RUN / "result.json").unlink()
    assert collect(later, tmp_path / "recorded", "alone") == 0
    assert "0 runs filed" in capsys.readouterr().out and not (tmp_path / "recorded" / "alone").exists()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda run: run.update(device="cuda"), 0),
        (lambda run: run["train"].update(protocol="short"), 0),
        (lambda run: run["train"]["recipe"].update(epochs=8, lr=0.4), 0),
        (lambda run: run.update(seed=1), 1),
        (lambda run: run.update(id="mnist/effconv-20-0.66m/seed1"), 1),
        (lambda run: run["search"].update(parameters=650_000), 1),
        (lambda run: run.update(precision="bf16"), 1),
    ],
)
def test_a_search_that_was_taken_over_is_of_another_run_with_the_same_search(real, tmp_path, capsys, change, status):
    """Of another preset, or of a card where this campaign had none: only what the sizes depend on is the plan's."""
    copied = shutil.copytree(real.out, tmp_path / "home")
    path = copied / "runs" / RUN / "search.json"
    edit(path, lambda search: change(search["run"]))
    assert collect(copied, tmp_path / "strict", "h200") == 1
    assert "its run is not the plan's" in capsys.readouterr().out
    edit(path, lambda search: search.update(taken_from=f"short/{RUN}"))
    assert collect(copied, tmp_path / "recorded", "h200") == status
    assert ("its run is not the plan's" in capsys.readouterr().out) == bool(status)


def edit(path, change) -> None:
    record = json.loads(path.read_text())
    change(record)
    record.pop("seal", None)  # as a careful forger would
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("result.json", lambda r: r.update(accuracy=99.0), "its accuracy is not its count"),
        ("result.json", lambda r: r.update(accuracy=100 / 16 * 15, correct=15), "history ends with another accuracy"),
        ("result.json", lambda r: r["run"].update(precision="bf16"), "its run is not the plan's"),
        ("result.json", lambda r: r["digests"].update({"workflow.engine.loop": "0" * 12}), "other code .*engine.loop"),
        ("result.json", lambda r: r["digests"].update({"run": "0" * 12}), "its digests do not fit its run"),
        ("result.json", lambda r: r["provenance"]["data"].update(train="0" * 64), "not that of the campaign's manifest"),
        ("search.json", lambda r: r["sizes"].__setitem__(0, 9), "its digests do not fit its sizes"),
        ("search.json", lambda r: r.update(status="partial"), "has status 'partial'"),
    ],
)  # fmt: skip
def test_a_record_that_does_not_hold_is_refused(real, tmp_path, capsys, name, change, reason):
    copied = shutil.copytree(real.out, tmp_path / "home")
    edit(copied / "runs" / RUN / name, change)
    assert collect(copied, tmp_path / "recorded", "h200") == 1
    refused = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"REFUSED  {RUN}: ")]
    assert len(refused) == 1 and re.search(reason, refused[0]), refused
    assert not (tmp_path / "recorded/h200/runs").exists()


def test_a_cut_off_record_and_a_missing_history_are_refused(real, tmp_path, capsys):
    copied = shutil.copytree(real.out, tmp_path / "home")
    path = copied / "runs" / RUN / "result.json"
    path.write_text(path.read_text()[:-200])
    assert collect(copied, tmp_path / "recorded", "h200") == 1
    assert "cannot be read as JSON" in capsys.readouterr().out
    assert not (tmp_path / "recorded" / "h200").exists()


def test_a_campaign_without_a_manifest_of_its_data_is_refused_with_what_to_copy(real, tmp_path, capsys):
    copied = shutil.copytree(real.out, tmp_path / "home")
    shutil.rmtree(copied / "data")
    assert collect(copied, tmp_path / "recorded", "h200") == 1
    assert re.search(r"the campaign has no data/\S+/manifest.json: copy it from \S+", capsys.readouterr().out)
    assert not (tmp_path / "recorded/h200/runs").exists()


def test_answers_of_another_network_are_refused(real, tmp_path, capsys):
    copied = shutil.copytree(real.out, tmp_path / "home")
    path = copied / "runs" / RUN / "predictions.npz"
    with np.load(path) as packed:
        classes, likely = packed["classes"], packed["log_probability"]
    np.savez(path, classes=classes, log_probability=likely - 1)
    assert collect(copied, tmp_path / "recorded", "h200") == 1
    assert "its predictions are not those of its cross-entropy" in capsys.readouterr().out


def test_records_of_other_code_are_filed_on_request(real, tmp_path, capsys):
    copied = shutil.copytree(real.out, tmp_path / "home")
    edit(copied / "runs" / RUN / "result.json", lambda r: r["digests"].update({"workflow.engine.loop": "0" * 12}))
    assert collect(copied, tmp_path / "recorded", "h200", other_code=True) == 0


def test_what_is_filed_is_never_replaced(real, tmp_path, capsys):
    collect(real.out, tmp_path / "recorded", "h200")
    copied = shutil.copytree(real.out, tmp_path / "home")
    edit(copied / "runs" / RUN / "result.json", lambda r: r.update(peak_memory_mb=1.0))
    assert collect(copied, tmp_path / "recorded", "h200") == 1
    assert "holds another one already" in capsys.readouterr().out


def test_a_campaign_is_filed_by_its_parts_with_what_was_found_of_the_card_once(real, tmp_path, capsys):
    copied = shutil.copytree(real.out.parent, tmp_path / "home")
    card = lambda number: {"side_by_side": {"train": number}}
    gpu_pool.keep("NVIDIA H200", card(3), copied / "selfcheck.json")
    assert collect_all(copied, tmp_path / "recorded", "h200") == 0
    assert read_result(tmp_path / "recorded" / "h200-smoke" / "runs" / RUN / "result.json")["run"]["id"] == RUN
    gpu_pool.keep("NVIDIA H200", card(8), copied / "selfcheck.json")
    assert collect_all(copied, tmp_path / "recorded", "h200") == 0
    assert gpu_pool.read(tmp_path / "recorded" / "selfcheck.json") == {"NVIDIA H200": card(3)}
    assert capsys.readouterr().out.count("the self-check of NVIDIA H200") == 1
    with pytest.raises(UserError, match="holds no campaign"):
        collect_all(tmp_path / "recorded", tmp_path / "recorded", "h200")


@pytest.mark.parametrize("name", ["../outside", "/absolute", "", "a/b", "A b"])
def test_a_name_cannot_leave_the_folder(real, tmp_path, name):
    with pytest.raises(UserError, match="--name"):
        collect(real.out, tmp_path / "recorded", name)


def test_a_foreign_plan_cannot_name_files_elsewhere(real, tmp_path):
    copied = shutil.copytree(real.out, tmp_path / "home")
    edit(copied / "plan.json", lambda plan: plan["runs"][0].update(id="../../../etc/seed0", dataset="..", row="../etc"))
    with pytest.raises(UserError, match="has a run with the name"):
        collect(copied, tmp_path / "recorded", "h200")
    (copied / "plan.json").write_text("[]")
    with pytest.raises(UserError, match="is no plan"):
        collect(copied, tmp_path / "recorded", "h200")


def test_a_link_in_a_foreign_folder_files_nothing_of_this_machine(real, tmp_path, capsys):
    """A pull request with the filed folder would publish what it points to."""
    (tmp_path / "secret").write_text("of this machine")
    for name in ("kernels.npz", "run.json"):
        copied = shutil.copytree(real.out, tmp_path / f"link-{name}")
        (copied / "runs" / RUN / name).unlink()
        (copied / "runs" / RUN / name).symlink_to(tmp_path / "secret")
        assert collect(copied, tmp_path / "recorded", "h200") == 1
        assert f"{name} is a link or no file" in capsys.readouterr().out
    copied = shutil.copytree(real.out, tmp_path / "linked")
    (copied / "runs" / RUN).rename(tmp_path / "elsewhere")
    (copied / "runs" / RUN).symlink_to(tmp_path / "elsewhere")
    assert collect(copied, tmp_path / "recorded", "h200") == 1
    assert "is a link or no file" in capsys.readouterr().out
    assert not list((tmp_path / "recorded").rglob("runs"))


@pytest.mark.parametrize("name", ["smoke", "smoke/plan.json", "selfcheck.json"])
def test_a_link_in_place_of_a_part_is_refused_before_anything_is_filed(real, tmp_path, name):
    copied = shutil.copytree(real.out.parent, tmp_path / "home")
    gpu_pool.keep("NVIDIA H200", {"side_by_side": {}}, copied / "selfcheck.json")
    (copied / name).rename(tmp_path / "elsewhere")
    (copied / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{name} is a link or no file: copy the campaign's folder"):
        collect_all(copied, tmp_path / "recorded", "h200")
    assert not (tmp_path / "recorded").exists()


def test_a_file_that_cannot_be_read_stops_no_other_record(real, tmp_path, capsys, monkeypatch):
    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(tmp_path), "read_bytes", broken)
    assert collect(real.out, tmp_path / "recorded", "h200") == 1
    said = capsys.readouterr().out
    assert "Input/output error" in said and "0 runs filed" in said


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("run.json", b'{"id": "another"}', "its run.json is not the plan's"),
        ("kernels.npz", b"no archive", "cannot be read as kernels"),
        ("history.jsonl", b"\xff\x1b[31m", "its history cannot be read"),
        ("history.jsonl", b"[" * 100_000, "its history cannot be read"),
        ("run.json", b"[" * 100_000, "cannot be read as JSON"),
        ("search.json", b"[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_a_foreign_file_is_read_before_it_is_filed(real, tmp_path, capsys, name, content, reason):
    copied = shutil.copytree(real.out, tmp_path / "home")
    (copied / "runs" / RUN / name).write_bytes(content)
    assert collect(copied, tmp_path / "recorded", "h200") == 1
    assert reason in capsys.readouterr().out and not list((tmp_path / "recorded").rglob("runs"))


def test_a_foreign_record_says_one_line_without_control_characters(real, tmp_path, capsys):
    copied = shutil.copytree(real.out, tmp_path / "home")
    edit(copied / "runs" / RUN / "result.json", lambda r: r.update(status="\x1b[2J\nfiled    everything"))
    collect(copied, tmp_path / "recorded", "h200")
    said = capsys.readouterr().out
    assert "\x1b" not in said and [line.split()[0] for line in said.splitlines()[:-1]] == ["REFUSED"]
