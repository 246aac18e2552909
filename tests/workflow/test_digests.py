"""Digests change with the code and with nothing else, and follow the imports."""

import ast

import pytest

from workflow.support import code_digests


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small source tree in place of ours: effconv.a imports b's `f` through the package's index, and not c."""
    package = tmp_path / "effconv"
    package.mkdir()
    (package / "__init__.py").write_text("from .b import f\nfrom .c import g\n")
    (package / "a.py").write_text(
        "import os\nfrom effconv import f\n\ndef h():\n    from . import d\n    return f() + d.x\n"
    )
    (package / "b.py").write_text('"""Doc."""\n\ndef f():\n    """Doc."""\n    return 1\n')
    (package / "c.py").write_text("def g():\n    return 2\n")
    (package / "d.py").write_text("x = 3\n")
    monkeypatch.setattr(code_digests, "ROOT", tmp_path)

    def forget():
        for cached in (code_digests._tree, code_digests._imports, code_digests.module_digest):
            cached.cache_clear()

    forget()
    yield package, forget
    forget()


def test_follows_imports_to_the_defining_module_and_no_further(tree):
    assert set(code_digests.code_digests(["effconv.a"], within=("effconv", "baselines"))) == {
        "effconv.a",
        "effconv.b",
        "effconv.d",
    }


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("# a comment\ndef f():\n    return 1  # one\n", True),
        ('def f():\n    """Other words."""\n    return (1)\n', True),
        ("def f():\n    return 2\n", False),
        ("def f():\n    return 1.0\n", False),
        ("def f(x=None):\n    return 1\n", False),
        ("async def f():\n    return 1\n", False),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(tree, text, same):
    package, forget = tree
    before = code_digests.code_digests(["effconv.a"], within=("effconv", "baselines"))["effconv.b"]
    (package / "b.py").write_text(text)
    forget()
    assert (code_digests.code_digests(["effconv.a"], within=("effconv", "baselines"))["effconv.b"] == before) is same


def test_constants_that_look_alike_differ():
    shown = {
        code_digests._canonical(ast.parse(text))
        for text in ("x = None", "x = 0", "x = ''", "x = False", "x = b''", "x = []")
    }
    assert len(shown) == 6


def test_unknown_entry(tree):
    with pytest.raises(ValueError, match=r"effconv\.missing"):
        code_digests.code_digests(["effconv.missing"], within=("effconv", "baselines"))
