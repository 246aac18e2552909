"""The plan: rows become runs once each, jobs cover them, digests follow what matters, mistakes are named."""

import copy
import subprocess
import sys

import pytest
import yaml

from workflow.overview.status import print_status
from workflow.plan import catalogue, config, make
from workflow.support.errors import UserError


@pytest.fixture(scope="module")
def smoke():
    return make.make_plan(config.load({"preset": "smoke", "device": "cpu"}))


@pytest.fixture
def tables():
    return copy.deepcopy(config.read_yaml(catalogue.TABLES))


def row_of(tables, name, row):
    return next(entry for entry in tables["tables"][name]["rows"] if entry["row"] == row)


def load_changed(tables, tmp_path):
    path = tmp_path / "tables.yaml"
    path.write_text(yaml.safe_dump(tables))
    return catalogue.load_tables(path)


def test_ids_are_unique_and_shared_rows_run_once(smoke):
    ids = [run["id"] for run in smoke["runs"]]
    assert len(ids) == len(set(ids))
    assert ids.count("cifar10/effconv-20-0.66m/seed0") == 1  # in table 2 and figures 2 and 3a


def test_every_run_is_in_one_train_job_and_every_row_is_timed_once(smoke):
    trained = [member for members in smoke["jobs"]["train"].values() for member in members]
    assert sorted(trained) == sorted(run["id"] for run in smoke["runs"])
    timed = [row for rows in smoke["jobs"]["time"].values() for row in rows]
    assert sorted(timed) == sorted({run["id"].rpartition("/")[0] for run in smoke["runs"]})
    searched = {member for members in smoke["jobs"]["search"].values() for member in members}
    assert searched == {run["id"] for run in smoke["runs"] if run["search"]}


def test_one_process_does_the_seeds_and_rows_of_a_system_in_a_table(smoke):
    assert smoke["jobs"]["train"]["table1/vgg5/all"] == [
        f"mnist/{row}/seed{seed}" for row in ("vgg-5", "vgg-5-common") for seed in (0, 1, 2)
    ]
    assert smoke["jobs"]["search"]["table4/cifar_resnet20/all"] == [
        f"imagenet32/effconv-20-0.50m/seed{seed}" for seed in (0, 1, 2)
    ]
    given = {"preset": "smoke", "device": "cpu", "only": ["mnist/vgg-5*"], "seeds": [0, 1]}
    by_row = make.make_plan(config.load({**given, "jobs": {"rows": "one"}}))
    assert by_row["jobs"]["train"].keys() == {"mnist/vgg-5/all", "mnist/vgg-5-common/all"}
    by_seed = make.make_plan(config.load({**given, "jobs": {"seeds": "one"}}))
    assert by_seed["jobs"]["train"]["table1/vgg5/seed1"] == ["mnist/vgg-5/seed1", "mnist/vgg-5-common/seed1"]


def test_the_papers_protocol_in_the_paper_preset():
    paper = make.make_plan(config.load({"preset": "paper", "device": "cpu"}))
    runs = {run["id"]: run for run in paper["runs"]}
    assert runs["cifar10/effconv-20-0.66m/seed2"]["search"]["epochs"] == 10
    assert runs["imagenet32/effconv-20-0.50m/seed0"]["search"]["epochs"] == 5
    assert runs["cifar10/effconv-44-0.66m/seed1"]["search"]["parameters"] == 660_000
    assert runs["cifar10/effconv-20-0.66m/seed0"]["search"]["options"]["kernel_predictor"] == "literal"
    here = {name for name, run in runs.items() if run["dataset"] not in paper["unavailable"]}
    assert paper["comparable"] and set(paper["jobs"]["train"]) == here


def test_quick_is_a_tenth(monkeypatch):
    made = {
        preset: {run["id"]: run for run in make.make_plan(config.load({"preset": preset, "device": "cpu"}))["runs"]}
        for preset in ("quick", "paper")
    }
    for name, run in made["quick"].items():
        assert run["train"]["epochs"] == max(1, round(made["paper"][name]["train"]["epochs"] / 10))


def test_a_row_may_have_an_arithmetic_of_its_own(monkeypatch):
    monkeypatch.setattr(config, "cuda_devices", lambda: 1)
    given = {"preset": "quick", "source": "synthetic", "synthetic": {"cifar10": {"train": 64, "test": 50}}, "precision": "bf16",
             "seeds": [0], "only": ["cifar10/*-resnet-20"]}  # fmt: skip
    found = {}
    for device in ("cpu", "cuda"):
        runs = make.make_plan(config.load({**given, "device": device}))["runs"]
        found[device] = {run["row"]: (run["precision"], run["compile"]) for run in runs}
    on_a_cpu = {
        "cifar-resnet-20": ("bf16", False), "fp32-resnet-20": ("fp32", False), "bf16-resnet-20": ("bf16", False),
        "compiled-resnet-20": ("fp32", True),
    }  # fmt: skip
    assert found == {"cpu": on_a_cpu, "cuda": {**on_a_cpu, "tf32-resnet-20": ("tf32", False)}}


def test_a_shortened_protocol_is_said_and_not_comparable(monkeypatch):
    monkeypatch.setattr(make, "unavailable", lambda config, datasets: {})

    def made(**given):
        return make.make_plan(
            config.load(
                {"preset": "paper", "device": "cpu", "seeds": [0], "only": ["cifar10/cifar-resnet-20"], **given}
            )
        )

    whole = made()
    assert whole["comparable"] and whole["banner"] == "Paper preset: the paper's protocol on the real data."
    for given, words in (
        ({"epochs": {"train": 2}}, "epochs (train) 2"),
        ({"epochs": {"factor": 0.5}}, "epochs (factor) 0.5"),
        ({"images": {"train": 20000}}, "images (train) 20,000"),
        ({"batch_size": 64}, "batch_size 64"),
        ({"source": "synthetic", "synthetic": {"cifar10": {"train": 64, "test": 50}}}, "source synthetic"),
    ):
        short = made(**given)
        assert not short["comparable"], given
        assert f"Changed by the configuration: {words}. Not comparable" in short["banner"]


def test_only_restricts_the_runs_and_keeps_the_rows():
    made = make.make_plan(
        config.load({"preset": "smoke", "device": "cpu", "only": ["cifar10/effconv-20-*"], "seeds": [4]})
    )
    assert {run["id"] for run in made["runs"]} == {f"cifar10/effconv-20-0.{n}0m/seed4" for n in range(1, 6)} | {
        "cifar10/effconv-20-0.66m/seed4"
    }
    assert len(made["tables"]["table1"]["rows"]) > 5
    with pytest.raises(UserError, match="key 'only'"):
        make.make_plan(config.load({"preset": "smoke", "only": ["cifar11/*"]}))


def test_every_number_of_the_papers_tables_is_there(smoke):
    rows = {(row["label"], row["size"]): row["paper"] for row in smoke["tables"]["table2"]["rows"]}
    assert rows["EffConv-44", "0.66M"] == {"params": 0.66, "acc": 93.35, "std": 0.17, "sec": 27.65}
    assert rows["FlexNet-16", None]["sec"] == 127
    counts = {
        name: sum(row["in_paper"] for row in smoke["tables"][name]["rows"])
        for name in ("table1", "table2", "table3", "table4")
    }
    assert counts == {"table1": 5, "table2": 19, "table3": 5, "table4": 4}


def test_digests_follow_the_run_and_not_its_label(smoke):
    run = next(run for run in smoke["runs"] if run["search"])
    before = make.expected_digests(run, "train")
    assert make.expected_digests({**run, "label": "Other"}, "train") == before
    changed = make.expected_digests({**run, "seed": 9}, "train")
    assert {key for key in before if before[key] != changed[key]} == {"run"}
    longer = {**run, "train": {**run["train"], "epochs": 99}}
    assert make.expected_digests(longer, "search") == make.expected_digests(run, "search")
    assert make.expected_digests(longer, "train") != before
    assert not any(name.startswith(("workflow.report", "workflow.data.")) for name in before)
    assert "workflow.engine.measure" not in before and "workflow.engine.train" in before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: row_of(t, "table1", "effconv-20-0.66m").update(system="cifar_resnet2"),
            ["table1", "cifar_resnet2", "did you mean"],
        ),
        (lambda t: t["tables"]["table1"].update(dataset="mnst"), ["table1", "'mnst'", "'mnist'"]),
        (
            lambda t: row_of(t, "table1", "effconv-20-0.66m").update(recipe="resnet_sdg"),
            ["'resnet_sdg'", "'resnet_sgd'"],
        ),
        (
            lambda t: row_of(t, "table1", "effconv-20-0.66m").update(learn={"parameter": 3}),
            ["learn.parameter", "parameters"],
        ),
        (
            lambda t: row_of(t, "table2", "ckcnn-7").update(learn={"parameters": 3}),
            ["ckcnn-7", "needs a 'system'"],
        ),
        (
            lambda t: t["figures"]["figure2"].update(rows=["effconv-20-0.67m"]),
            ["figure2", "effconv-20-0.67m", "did you mean"],
        ),
        (
            lambda t: row_of(t, "table1", "vgg-5").update(selection="validation"),
            ["selection", "'validation'", "must be one of test"],
        ),
        (lambda t: t["tables"]["table2"].update(reference="flexnet-17"), ["table2.reference", "flexnet-17"]),
    ],
)
def test_a_mistake_in_the_tables_is_named(tables, tmp_path, change, words):
    change(tables)
    with pytest.raises(UserError) as caught:
        make.make_plan(config.load({"preset": "smoke"}), load_changed(tables, tmp_path))
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_a_row_defined_twice_is_refused(tables, tmp_path):
    tables["tables"]["table1"]["rows"].append(tables["tables"]["table1"]["rows"][4])
    with pytest.raises(UserError, match="defined twice"):
        make.make_plan(config.load({"preset": "smoke"}), load_changed(tables, tmp_path))


def test_planning_imports_no_torch(root):
    code = "from workflow import config, plan; make.make_plan(config.load({'preset': 'paper'}))"
    code += "; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_data_set_that_cannot_be_had_keeps_its_rows_waiting_and_no_others(tmp_path, capsys):
    made = make.make_plan(config.load({"preset": "quick", "device": "cpu", "data": str(tmp_path)}))
    assert set(made["unavailable"]) == {"imagenet32"} and "image-net.org" in made["unavailable"]["imagenet32"]
    assert any(run["dataset"] == "imagenet32" for run in made["runs"])
    assert not any(job.startswith("imagenet32") for jobs in made["jobs"].values() for job in jobs)
    assert any(job.startswith("stl10") for job in made["jobs"]["train"])
    print_status(made, tmp_path)
    assert "image-net.org" in capsys.readouterr().out


CHAPTER = {
    "title": "Depth", "dataset": "cifar10", "text": "Does depth matter?",
    "rows": ["cifar-resnet-20", {"row": "deep", "label": "ResNet-56", "system": "cifar_resnet56"}],
}  # fmt: skip


def with_chapter(tmp_path, chapter=CHAPTER, **user):
    (tmp_path / "depth.yaml").write_text(yaml.safe_dump(chapter))
    return make.make_plan(config.load({"preset": "smoke", **user}), catalogue.load_tables(chapters=tmp_path))


def test_a_chapters_own_rows_wait_until_they_are_asked_for(tmp_path, smoke):
    made = with_chapter(tmp_path)
    assert made["on_demand"] == ["cifar10/deep"]
    plain = [run for run in smoke["runs"] if f"{run['dataset']}/{run['row']}" in make.report_rows(smoke)]
    assert len(made["runs"]) == len(plain) + 3
    assert make.entry_rows(made, "depth") == {"cifar10/cifar-resnet-20", "cifar10/deep"}
    assert "cifar10/deep" not in make.report_rows(made)
    assert with_chapter(tmp_path, chapters=["depth"])["on_demand"] == []


@pytest.mark.parametrize(
    "chapter, user, words",
    [
        ({**CHAPTER, "rows": ["cifar-resnet-21"]}, {}, ["depth", "cifar-resnet-21", "did you mean"]),
        (CHAPTER, {"chapters": ["dept"]}, ["chapters", "'dept'", "'depth'"]),
        ({key: CHAPTER[key] for key in ("title", "dataset", "rows")}, {}, ["chapters.depth", "text"]),
    ],
)
def test_a_mistake_in_a_chapter_is_named(tmp_path, chapter, user, words):
    with pytest.raises(UserError) as error:
        with_chapter(tmp_path, chapter, **user)
    assert all(word in str(error.value) for word in words), error.value


def test_heavy_systems_get_few_made_up_images_and_the_faster_convolution(smoke):
    runs = {run["id"]: run for run in smoke["runs"]}
    flexnet, resnet = runs["mnist/flexnet-16/seed0"], runs["mnist/cifar-resnet-20/seed0"]
    assert flexnet["arguments"] == {"backend": "auto"} and flexnet["data"].endswith("synthetic-mnist-8-8")
    assert resnet["arguments"] == {} and resnet["data"].endswith("synthetic-mnist-64-50")
    assert smoke["prepare"][flexnet["data"]] == {"dataset": "mnist", "synthetic": {"train": 8, "test": 8}}
    paper = make.make_plan(config.load({"preset": "paper", "device": "cpu"}))
    same = next(run for run in paper["runs"] if run["id"] == "cifar10/flexnet-16/seed0")
    assert same["arguments"] == {} and paper["prepare"][same["data"]] == {"dataset": "cifar10", "synthetic": None}
