"""The plan: rows become runs once each, jobs cover them, mistakes are named."""

import copy
import json

import pytest
import yaml

from baselines import registry
from tests.workflow.made_plans import plan_of
from workflow.overview.status import print_status
from workflow.plan import catalogue, config, make
from workflow.plan.plan import Plan, read_plan
from workflow.support.errors import UserError
from workflow.support.files import read_yaml


@pytest.fixture(scope="module")
def smoke():
    return plan_of()


@pytest.fixture(scope="module")
def short():
    return plan_of(preset="short")


@pytest.fixture(scope="module")
def paper():
    return plan_of(preset="paper")


def test_a_plan_is_read_back_as_it_was_written(smoke, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(smoke.to_json()))
    found = read_plan(path)
    assert found.runs == smoke.runs and found.to_json() == smoke.to_json()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read as a plan"),
        ("[]", "is no plan"),
        ('{"schema": 1}', "not of this version"),
        ('{"schema": 2}', "is damaged"),
        ('{"schema": 2, "seeds": [0], "on_demand": [], "runs": [{"id": "x"}], "tables": {}}', "no run of this version"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path, content, words):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(UserError, match=words):
        read_plan(tmp_path / "plan.json")


def test_runs_are_unique_and_in_one_job_a_stage(smoke):
    assert len(smoke.by_id) == len(smoke.runs)  # rows that two tables share are run once
    members = {stage: [name for job in jobs.values() for name in job] for stage, jobs in smoke.jobs.items()}
    assert sorted(members["train"]) == sorted(smoke.by_id)
    assert sorted(members["search"]) == sorted(run.id for run in smoke.runs if run.search)
    assert sorted(members["time"]) == sorted({run.place for run in smoke.runs})


def test_one_process_does_the_rows_of_a_table(smoke):
    rows = ("cifar-resnet-32", "wrn-28-1", "wrn-28-1-common", "flexnet-5", "effconv-20-0.50m")
    assert smoke.jobs["train"]["table4/all"] == [f"imagenet32/{row}/seed0" for row in rows]
    assert smoke.jobs["search"]["table4/all"] == ["imagenet32/effconv-20-0.50m/seed0"]
    by_row = plan_of("mnist/vgg-5*", seeds=[0, 1], jobs={"rows": "one"})
    assert by_row.jobs["train"].keys() == {"mnist/vgg-5/all", "mnist/vgg-5-common/all"}
    by_seed = plan_of("mnist/vgg-5*", seeds=[0, 1], jobs={"seeds": "one"})
    assert by_seed.jobs["train"]["table1/seed1"] == ["mnist/vgg-5/seed1", "mnist/vgg-5-common/seed1"]


def test_smoke_has_three_seeds_where_one_cannot_do_and_more_where_they_are_asked_for(smoke):
    three = {run.place for run in smoke.runs if run.seed > 0}
    assert three == {f"cifar10/{row}" for row in ("cifar-resnet-20", "effconv-20-0.66m", "other-seed-20-0.66m")}
    assert {run.seed for run in plan_of("mnist/vgg-5", seeds=[4, 5]).runs} == {4, 5}


def test_the_papers_protocol_in_the_paper_preset(paper):
    runs = paper.by_id
    assert runs["cifar10/effconv-20-0.66m/seed2"].search.epochs == 10
    assert runs["imagenet32/effconv-20-0.50m/seed0"].search.epochs == 5
    assert runs["cifar10/effconv-44-0.66m/seed1"].search.parameters == 660_000
    assert runs["cifar10/effconv-20-0.66m/seed0"].search.options["kernel_predictor"] == "literal"
    assert runs["cifar10/effconv-20-0.66m/seed0"].train.epochs == 164
    here = {name for name, run in runs.items() if run.dataset not in paper.unavailable}
    assert paper.comparable and set(paper.jobs["train"]) == here


def test_the_short_protocol_on_all_images(short, paper):
    """Epochs as in config/presets/short.yaml; searches as long as the paper's."""
    epochs = {"mnist": 4, "cifar10": 8, "stl10": 40, "imagenet32": 2}
    for run in short.runs:
        train, search, same = run.train, run.search, paper.by_id.get(run.id)
        assert (train.epochs, train.images, train.protocol) == (epochs[run.dataset], None, "short")
        assert train.recipe.schedule != "multistep" and (train.recipe.optimizer != "sgd" or train.recipe.lr == 0.2)
        if same:
            assert train.recipe.of_images() == same.train.recipe.of_images()
            assert search is None or (search.epochs, search.images) == (same.search.epochs, None)
    assert not short.comparable and short.banner.startswith("Short preset")


def test_a_row_may_have_an_arithmetic_of_its_own(monkeypatch):
    monkeypatch.setattr(config, "cuda_devices", lambda: 1)
    found = {}
    for device in ("cpu", "cuda"):
        runs = plan_of("cifar10/*-resnet-20", preset="short", precision="bf16", seeds=[0], device=device).runs
        found[device] = {run.row: (run.precision, run.compile) for run in runs}
    on_a_cpu = {
        "cifar-resnet-20": ("bf16", False), "fp32-resnet-20": ("fp32", False), "bf16-resnet-20": ("bf16", False),
        "compiled-resnet-20": ("fp32", True),
    }  # fmt: skip
    assert found == {"cpu": on_a_cpu, "cuda": {**on_a_cpu, "tf32-resnet-20": ("tf32", False)}}


def test_a_shortened_protocol_is_said_and_not_comparable():
    made = lambda **given: plan_of("cifar10/cifar-resnet-20", preset="paper", seeds=[0], **given)
    whole = made()
    assert whole.comparable and whole.banner == "Paper preset: the paper's protocol on the real data."
    for given, words in (
        ({"epochs": {"train": 2}}, "epochs (train) 2"),
        ({"epochs": {"factor": 0.5}}, "epochs (factor) 0.5"),
        ({"images": {"train": 20000}}, "images (train) 20,000"),
        ({"batch_size": 64}, "batch_size 64"),
        ({"source": "synthetic", "synthetic": {"cifar10": {"train": 64, "test": 50}}}, "source synthetic"),
    ):
        changed = made(**given)
        assert not changed.comparable, given
        assert f"Changed by the configuration: {words}. Not comparable" in changed.banner


@pytest.mark.parametrize(
    ("preset", "given", "epochs", "schedule"),
    [
        ("short", {"train": 2}, 2, "linear"),
        ("short", {"factor": 0.5}, 82, "linear"),  # of He et al.'s 164
        ("short", {"factor": 0.05}, 8, "linear"),  # what the preset's file says for data sets that it has no number for
        ("short", {"search": 3}, 8, "linear"),
        ("paper", {"train": 2}, 2, "multistep"),
        ("smoke", {"factor": 0.5}, 82, "multistep"),
        ("smoke", {"train": 5}, 5, "multistep"),
    ],
)
def test_the_users_epochs_stand_for_the_presets(preset, given, epochs, schedule):
    (run,) = plan_of("cifar10/cifar-resnet-20", preset=preset, seeds=[0], epochs=given).runs
    assert (run.train.epochs, run.train.recipe.schedule, run.train.protocol) == (epochs, schedule, "changed")


def test_only_restricts_the_runs_and_keeps_the_rows():
    made = plan_of("cifar10/effconv-20-*", seeds=[4])
    budgets = ("0.10", "0.20", "0.30", "0.40", "0.50", "0.66")
    assert set(made.by_id) == {f"cifar10/effconv-20-{budget}m/seed4" for budget in budgets}
    assert len(made.tables["table1"].rows) > 5
    with pytest.raises(UserError, match="key 'only'"):
        plan_of("cifar11/*")


def test_every_number_of_the_papers_tables_is_there(smoke):
    rows = {(row.label, row.size): row.paper for row in smoke.tables["table2"].rows}
    assert rows["EffConv-44", "0.66M"] == {"params": 0.66, "acc": 93.35, "std": 0.17, "sec": 27.65}
    assert rows["FlexNet-16", None]["sec"] == 127
    counts = [sum(row.in_paper for row in smoke.tables[f"table{number}"].rows) for number in (1, 2, 3, 4)]
    assert counts == [5, 19, 5, 4]


@pytest.fixture
def tables():
    return copy.deepcopy(read_yaml(catalogue.TABLES))


def row_of(tables, name, row):
    return next(entry for entry in tables["tables"][name]["rows"] if entry["row"] == row)


def load_changed(tables, tmp_path):
    path = tmp_path / "tables.yaml"
    path.write_text(yaml.safe_dump(tables))
    return catalogue.load_tables(path)


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
        (lambda t: t["figures"].update(table2=t["figures"]["figure2"]), ["have the name 'table2'"]),
        (
            lambda t: row_of(t, "table1", "effconv-20-0.66m").update(learn={"epochs": 3}),
            ["table1", "effconv-20-0.66m", "no budget", "'parameters' or 'macs'"],
        ),
        (
            lambda t: row_of(t, "table1", "effconv-20-0.66m").update(learn={"macs": 9, "method": "random-search"}),
            ["random-search", "add 'parameters'"],
        ),
        (
            lambda t: row_of(t, "table1", "effconv-20-0.66m").update(learn={"macs": 9, "options": {"maks": "none"}}),
            ["learn.options: 'maks' is no option", "'mask'"],
        ),
    ],
)
def test_a_mistake_in_the_tables_is_named(tables, tmp_path, change, words):
    change(tables)
    with pytest.raises(UserError) as caught:
        make.make_plan(config.load({"preset": "smoke"}), load_changed(tables, tmp_path))
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schedule", "warmup_cosinus"),
        ("flip", "randm"),
        ("normalisation", "imagnet"),
        ("augmentation", "capsnets"),
        ("lr", -0.1),
        ("weight_decay", "0.1"),
        ("epochs", 3.5),
        ("batch_size", 0),
    ],
)
def test_a_recipes_wrong_value_is_refused_and_not_trained_with(monkeypatch, field, value):
    def changed(path):
        found = read_yaml(path)
        if path.name == "recipes.yaml":
            found["vgg5_adam"]["recipe"][field] = value
        return found

    monkeypatch.setattr(catalogue, "read_yaml", changed)
    with pytest.raises(
        UserError, match=rf"recipes\.yaml: key 'vgg5_adam\.recipe\.{field}' is {value!r}, but (must|breaks)"
    ):
        catalogue.load_tables()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a.py": "def f(:\n"}, r"a\.py line 1 is no Python"),
        ({"a.py": b"x = 1\n\xff\n"}, r"a\.py line \d is no Python"),
        (
            dict.fromkeys(("a.py", "b.py"), "@system\ndef net(): ...\n"),
            r"'net' is defined in both baselines\.a and baselines\.b",
        ),
    ],
)
def test_a_file_of_a_system_that_cannot_be_read_is_named(monkeypatch, tmp_path, files, sentence):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    registry._index.cache_clear()
    try:
        with pytest.raises(UserError, match=sentence):
            catalogue.systems()
    finally:
        registry._index.cache_clear()


def test_a_data_set_without_numbers_of_made_up_images_is_named():
    loaded = config.load({"preset": "smoke"})
    loaded["synthetic"] = {"mnist": loaded["synthetic"]["mnist"]}
    with pytest.raises(UserError, match=r"no numbers of images for '(cifar10|stl10|imagenet32)': add .*smoke\.yaml"):
        make.make_plan(loaded)


def test_a_row_defined_twice_is_refused(tables, tmp_path):
    tables["tables"]["table1"]["rows"].append(tables["tables"]["table1"]["rows"][4])
    with pytest.raises(UserError, match="defined twice"):
        make.make_plan(config.load({"preset": "smoke"}), load_changed(tables, tmp_path))


def test_a_folder_of_data_whose_name_no_disk_takes_is_named():
    with pytest.raises(UserError, match=r"d{5}.* cannot be read \(File name too long\): .*key 'data'"):
        plan_of("imagenet32/cifar*", preset="paper", data=300 * "d")


def test_a_data_set_that_cannot_be_had_keeps_its_rows_waiting_and_no_others(tmp_path, capsys):
    made = plan_of("imagenet32/cifar*", "stl10/cifar*", preset="paper", data=str(tmp_path))
    assert set(made.unavailable) == {"imagenet32"} and "image-net.org" in made.unavailable["imagenet32"]
    assert any(run.dataset == "imagenet32" for run in made.runs)
    assert not any(job.startswith("imagenet32") for jobs in made.jobs.values() for job in jobs)
    assert any(job.startswith("stl10") for job in made.jobs["train"])
    print_status(made, tmp_path)
    assert "image-net.org" in capsys.readouterr().out


CHAPTER = {
    "title": "Depth", "dataset": "cifar10", "text": "Does depth matter?",
    "rows": ["cifar-resnet-20", {"row": "deep", "label": "ResNet-56", "system": "cifar_resnet56"}],
}  # fmt: skip


def with_chapter(tmp_path, chapter=CHAPTER, **user) -> Plan:
    (tmp_path / "depth.yaml").write_text(yaml.safe_dump(chapter))
    return make.make_plan(config.load({"preset": "smoke", **user}), catalogue.load_tables(chapters=tmp_path))


def test_a_chapters_name_is_a_part_of_addresses(tmp_path):
    (tmp_path / "My_chapter.yaml").write_text(yaml.safe_dump(CHAPTER))
    with pytest.raises(UserError, match=r"chapters/My_chapter\.yaml: .*rename the file"):
        catalogue.load_tables(chapters=tmp_path)


def test_a_chapters_own_rows_wait_until_they_are_asked_for(tmp_path, smoke):
    made = with_chapter(tmp_path)
    assert made.on_demand == ("cifar10/deep",) and made.report_rows == smoke.report_rows
    assert made.rows_of("depth") == {"cifar10/cifar-resnet-20", "cifar10/deep"}
    assert {run.place for run in made.runs} == smoke.report_rows | {"cifar10/deep"}
    assert with_chapter(tmp_path, chapters=["depth"]).on_demand == ()


@pytest.mark.parametrize(
    "chapter, user, words",
    [
        ({**CHAPTER, "rows": ["cifar-resnet-21"]}, {}, ["depth", "cifar-resnet-21", "did you mean"]),
        (CHAPTER, {"chapters": ["dept"]}, ["chapters", "'dept'", "'depth'"]),
        ({key: CHAPTER[key] for key in ("title", "dataset", "rows")}, {}, ["chapters/depth.yaml: ", "lacks 'text'"]),
        ({**CHAPTER, "dataset": "mnst"}, {}, ["chapters/depth.yaml: ", "'mnst'", "'mnist'"]),
        (
            {**CHAPTER, "rows": [{"row": "deep", "label": "Deep", "system": "cifar_resnet2"}]},
            {},
            ["chapters/depth.yaml, row 'deep': ", "'cifar_resnet2'"],
        ),
        (
            {**CHAPTER, "rows": [{"row": "cifar-resnet-20", "label": "Again", "system": "cifar_resnet20"}]},
            {},
            ["chapters/depth.yaml: row 'cifar-resnet-20' is defined twice"],
        ),
    ],
)
def test_a_mistake_in_a_chapter_is_named(tmp_path, chapter, user, words):
    with pytest.raises(UserError) as error:
        with_chapter(tmp_path, chapter, **user)
    assert all(word in str(error.value) for word in words), error.value


def test_heavy_systems_get_few_made_up_images_and_the_faster_convolution(smoke, paper):
    flexnet, resnet = smoke.by_id["mnist/flexnet-16/seed0"], smoke.by_id["mnist/cifar-resnet-20/seed0"]
    assert flexnet.arguments == {"backend": "auto"} and flexnet.data.endswith("synthetic-mnist-8-8")
    assert resnet.arguments == {} and resnet.data.endswith("synthetic-mnist-32-20")
    assert smoke.prepare[flexnet.data] == {"dataset": "mnist", "synthetic": {"train": 8, "test": 8}}
    same = paper.by_id["mnist/flexnet-16/seed0"]
    assert same.arguments == {"backend": "fft"} and paper.prepare[same.data] == {"dataset": "mnist", "synthetic": None}
