"""What SECURITY.md says of the code as a whole: how files are loaded, what names may be."""

import ast
import re
import subprocess

import pytest

from workflow.jobs import Job
from workflow.plan.catalogue import load_tables
from workflow.plan.config import load
from workflow.plan.make import make_plan
from workflow.support.errors import UserError

PACKAGES = ("effconv", "baselines", "workflow")


def calls(root):
    """(file, dotted name, keywords) of every call in the packages."""
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    keywords = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
                    yield path, ast.unparse(node.func), keywords


def test_nothing_loads_a_file_that_could_run_code(root):
    found = list(calls(root))
    loads = [(path, keywords) for path, name, keywords in found if name == "torch.load"]
    assert loads and all(keywords.get("weights_only") is True for _, keywords in loads), loads
    arrays = [(path, keywords) for path, name, keywords in found if name in ("np.load", "numpy.load")]
    assert arrays and all(keywords.get("allow_pickle") is False for _, keywords in arrays), arrays
    unsafe = {
        "pickle.load",
        "pickle.loads",
        "eval",
        "exec",
        "yaml.load",
        "os.system",
        "torch.hub.load",
        "marshal.loads",
    }
    assert [(path.name, name) for path, name, _ in found if name in unsafe] == []
    shells = [path for path, name, keywords in found if name.startswith("subprocess.") and keywords.get("shell")]
    unpacked = [path for path, name, _ in found if name.rpartition(".")[2] in ("extractall", "unpack_archive")]
    assert shells == [] and unpacked == []


@pytest.mark.parametrize("row", ["../../outside", "/etc", "a/b", "A", ".hidden", "a b", ""])
def test_a_row_cannot_be_named_out_of_the_results(root, tmp_path, row):
    text = (root / "config" / "tables.yaml").read_text()
    (tmp_path / "tables.yaml").write_text(text.replace("row: cifar-resnet-20,", f"row: {row!r},", 1))
    with pytest.raises(UserError, match="row"):
        load_tables(tmp_path / "tables.yaml")


def test_a_job_of_a_foreign_plan_cannot_lead_out_of_the_results(tmp_path):
    plan = make_plan(load({"preset": "smoke", "device": "cpu", "only": ["mnist/cifar-resnet-20"]}))
    for name in ("../../outside", "/etc/outside", "mnist/../../outside"):
        plan.jobs["train"][name] = [plan.runs[0].id]
        with pytest.raises(UserError, match="none of a run, row or job"):
            Job("train", name, plan, tmp_path)


def test_the_page_asks_the_network_for_nothing(root):
    """Links to papers apart, which a reader clicks: no template loads a script, style, font or picture from elsewhere."""
    for path in (root / "workflow" / "report" / "templates").rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert not re.search(
                r"""(src|srcset|action)\s*=\s*["']?\s*(https?:)?//|@import|url\(\s*["']?\s*(https?:)?//""", text
            ), path


def test_no_secret_is_tracked(root):
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    wrong = [
        name for name in listed.stdout.splitlines() if re.search(r"(^|/)(\.env|id_rsa|.*\.(pem|key|pt|pkl))$", name)
    ]
    assert wrong == []
