"""Digests change with the code and with nothing else, and follow the imports."""

import ast

import pytest

from workflow.support import code_digests


@pytest.fixture
def digests(tmp_path, monkeypatch):
    """Digests of a small source tree in place of ours, whose module b a test may write anew. a imports b's `f` by the package's index,
    not c, and d inside a function; e lies outside the package."""
    package = tmp_path / "effconv"
    package.mkdir()
    (package / "__init__.py").write_text("from .b import f\nfrom .c import g\n")
    (package / "a.py").write_text(
        "import os\nfrom effconv import f\nimport baselines.e\n\ndef h():\n    from . import d\n    return f() + d.x\n"
    )
    (package / "c.py").write_text("def g():\n    return 2\n")
    (package / "d.py").write_text("x = 3\n")
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "e.py").write_text("x = 4\n")
    monkeypatch.setattr(code_digests, "ROOT", tmp_path)

    def forget():
        for cached in (code_digests._tree, code_digests._exports, code_digests._imports, code_digests.module_digest):
            cached.cache_clear()

    def found(b='"""Doc."""\n\ndef f():\n    """Doc."""\n    return 1\n', within=("effconv",), entry="effconv.a"):
        (package / "b.py").write_text(b)
        forget()
        return code_digests.code_digests([entry], within=within)

    yield found
    forget()


def test_follows_imports_to_the_defining_module_and_no_further(digests):
    assert set(digests()) == {"effconv.a", "effconv.b", "effconv.d"}
    assert set(digests(within=("effconv", "baselines"))) == {"effconv.a", "effconv.b", "effconv.d", "baselines.e"}


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
def test_comments_docstrings_and_layout_do_not_count(digests, text, same):
    assert (digests(text)["effconv.b"] == digests()["effconv.b"]) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("raise ValueError('a')", "raise ValueError(f'b {x}')", True),
        ("raise ValueError('a')", "raise KeyError('a')", False),
        ("raise ValueError('a')", "return ValueError('a')", False),
        ("raise ValueError('a') from None", "raise ValueError('b') from None", True),
        ("print('a')", "print('b')", False),
        (
            "assert x, 'a'",
            "assert x, 'b'",
            False,
        ),  # an assert's words are rare; one more exception would have to be explained
    ],
)
def test_the_words_of_an_error_do_not_count(digests, one, other, same):
    first, second = (digests(f"def f(x=1):\n    {text}\n")["effconv.b"] for text in (one, other))
    assert (first == second) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("def f(x):\n    y = x\n    return y\n", "def f(x: int) -> int:\n    y: int = x\n    return y\n", True),
        ("x = 1\n", "x: int = 1\n", True),
        ("def f(x):\n    return x\n", "def f(x: int = 1):\n    return x\n", False),
        ("class A:\n    def f(self, x): ...\n", "class A:\n    def f(self, x: int) -> None: ...\n", True),
        ("class A:\n    x: int = 1\n", "class A:\n    x = 1\n", False),  # a field of a dataclass, and none
        ("class A:\n    x: int\n", "class A:\n    x: str\n", False),
    ],
)
def test_types_of_functions_and_variables_do_not_count(digests, one, other, same):
    first, second = (digests(f"{text}\ndef f():\n    return 1\n")["effconv.b"] for text in (one, other))
    assert (first == second) is same


def test_constants_that_look_alike_differ():
    shown = {
        code_digests._canonical(ast.parse(text))
        for text in ("x = None", "x = 0", "x = ''", "x = False", "x = b''", "x = []")
    }
    assert len(shown) == 6


def test_unknown_entry(digests):
    with pytest.raises(ValueError, match=r"effconv\.missing"):
        digests(entry="effconv.missing")
