"""Mutation testing: small faults are put into a module one at a time, and its tests have to notice each.

python tests/mutation/run.py [MODULE ...]      needs: pip install cosmic-ray. Prints the faults that no test noticed.

The faults are cosmic-ray's. They are not written to the disk but handed to a forked process as the module's source, so that a
fault costs its tests alone and not another import of torch, and nothing is left damaged when this is stopped. Outcome:
docs/testing.md.
"""

import collections
import difflib
import gc
import importlib.machinery
import os
import re
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPORT = "tests/workflow/report/test_report_"
MODULES = {
    "effconv.mask": ["tests/effconv/test_mask.py"],
    "effconv.budget": ["tests/effconv/test_budget.py"],
    "workflow.report.stats": [f"{REPORT}stats.py", f"{REPORT}answers.py"],
    "workflow.report.components": [f"{REPORT}stats.py"],
    "workflow.report.image_share": [f"{REPORT}image_share.py"],
    "workflow.report.claims.verdicts": [f"{REPORT}verdicts.py"],
    "workflow.report.chapters.answers": [f"{REPORT}answers.py"],
    "workflow.report.chapters.decisions": [f"{REPORT}answers.py"],
    "workflow.report.claims.claims": [f"{REPORT}claims.py", f"{REPORT}rules.py"],
    "workflow.report.claims.protocols": ["tests/workflow/test_protocols.py"],
    "workflow.report.claims.rules": [f"{REPORT}rules.py", f"{REPORT}claims.py"],
    "workflow.report.claims.accuracy_rules": [f"{REPORT}rules.py"],
    "workflow.report.claims.seconds_rules": [f"{REPORT}rules.py"],
    "workflow.report.claims.size_rules": [
        f"{REPORT}size_rules.py",
        f"{REPORT}rules.py",
        "-k",
        "size_rules or limits or figures",
    ],
}
# Whole pages, made of verdicts that other tests have judged: half a minute a fault.
LEFT_OUT = "not chapter_shows and not made_up_images and not recorded_runs"
LIMIT = 120  # seconds for the tests of one fault: some make a loop endless
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where the disk's fsync costs nothing
# Left out: shifts and masks of bits, of which there are none here (`|` stands in types), and `is` for `==`, which depends on the
# interpreter.
SENSELESS = re.compile("Shift|Bit|(?<!_Is)(?<!_IsNot)_Is(Not)?$|_Is(Not)?_(?!Is)")


def faults(source: str) -> Iterator[tuple[str, str]]:
    """(operator, faulty source) for every fault of cosmic-ray's that makes sense here."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    seen = {source}
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments() or SENSELESS.search(name):
            continue
        occurrence = 0
        while (faulty := mutate_code(source, operator(), occurrence)) is not None:
            occurrence += 1
            if faulty not in seen and _compiles(faulty):
                seen.add(faulty)
                yield name.removeprefix("core/"), faulty


def _compiles(source: str) -> bool:
    with warnings.catch_warnings(action="ignore"):
        try:
            compile(source, "faulty", "exec")
        except SyntaxError:
            return False
    return True


def outcome(module: str, path: Path, faulty: str, folder: str) -> str:
    """What the module's tests make of it: killed, killed by the time limit, or survived."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(LIMIT)
            gc.disable()  # it would copy every page
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            _put_in_place(module, path, faulty)
            status = tests(module, folder)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "out of time"
    return "survived" if os.WEXITSTATUS(status) == 0 else "killed"


def tests(module: str, folder: str) -> int:
    """Exit status of a module's tests, run in this process."""
    import pytest

    chosen = ["-x", "-q", "-p", "no:cacheprovider", "-k", LEFT_OUT, f"--basetemp={folder}/tests"]
    return int(pytest.main([*chosen, *MODULES[module]]))


def sound(module: str, folder: str) -> bool:
    """Whether the tests pass without a fault. Run here, so that every fork finds the libraries loaded; ours are forgotten."""
    status = tests(module, folder)
    for name, loaded in list(sys.modules.items()):
        if name != __name__ and str(getattr(loaded, "__file__", "")).startswith(
            (f"{ROOT}/effconv", f"{ROOT}/workflow", f"{ROOT}/tests")
        ):
            del sys.modules[name]
    return status == 0


def _put_in_place(module: str, path: Path, source: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        code = compile(source, str(path), "exec")

    class Loader(importlib.machinery.SourceFileLoader):
        def get_code(self, fullname):
            return code

    class Finder:
        @staticmethod
        def find_spec(name, path_of_package=None, target=None):
            if name != module:
                return None
            return importlib.machinery.ModuleSpec(name, Loader(name, str(path)), origin=str(path))

    sys.meta_path.insert(0, Finder)


def change(before: str, after: str) -> str:
    """The lines that differ, in one."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    shown = [line for line in lines if line[:3] not in ("---", "+++")]
    return " ".join(line.strip() if line.startswith("@@") else f"{line[0]} {line[1:].strip()}" for line in shown)


def main(names: list[str]) -> None:
    """All faults of the named modules, or of all."""
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for module in names or MODULES:
        path = ROOT / (module.replace(".", "/") + ".py")
        source = path.read_text()
        started, tally = time.monotonic(), collections.Counter()
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            if not sound(module, folder):
                raise SystemExit(f"{module}: its tests fail without any fault: run {' '.join(MODULES[module])} first.")
            for operator, faulty in faults(source):
                found = outcome(module, path, faulty, folder)
                tally[found] += 1
                if found == "survived":
                    print(f"  {operator}: {change(source, faulty)}", flush=True)
        print(f"{module}: {tally.total()} faults, {dict(tally)}, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
