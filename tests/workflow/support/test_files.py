"""Files appear whole or not at all, whoever writes them at once."""

import json
import threading

import pytest

from workflow.support.errors import UserError
from workflow.support.files import read_json, read_yaml, scalar, write_json, write_text


def test_writing_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]
    write_text(path, "b")
    assert path.read_text() == "b" and path.stat().st_mode & 0o777 == 0o644


def test_what_a_killed_process_left_is_taken_over(tmp_path):
    (tmp_path / ".text.csv.partial").write_text("a longer text, cut sho")
    write_text(tmp_path / "text.csv", "whole")
    assert (tmp_path / "text.csv").read_text() == "whole" and [path.name for path in tmp_path.iterdir()] == ["text.csv"]


def test_two_that_write_one_file_take_turns(tmp_path):
    texts = [letter * 100_000 for letter in "abcd"]
    writers = [
        threading.Thread(target=lambda t=text: [write_text(tmp_path / "f", t) for _ in range(20)]) for text in texts
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert not (tmp_path / "f").exists() or (tmp_path / "f").read_text() in texts
    assert (tmp_path / "f").read_text() in texts and [path.name for path in tmp_path.iterdir()] == ["f"]


def test_broken_yaml_names_file_and_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seeds: [0, 1\nepochs: 3\n")
    with pytest.raises(UserError, match=r"mine\.yaml line 2"):
        read_yaml(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path / "absent.yaml")


@pytest.mark.parametrize("text", ["x: 2024-13-45", "x: [{y: 0x_}]", "? 2024-13-45\n: 1", "x: !!timestamp 3"])
def test_what_looks_like_a_date_or_number_and_is_none_is_named_with_its_line(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(f"seeds: [0]\n{text}\n")
    with pytest.raises(UserError, match=r"mine\.yaml line 2 is not valid YAML \('.*' is no date or number"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("7", 7), ("-1e-3", -0.001), ("none", "none"), ("null", "null"), ("", "")]
    + [("2024-01-02", "2024-01-02"), ("2024-13-45", "2024-13-45"), ("0x_", "0x_"), ("²", "²"), ("--5", "--5")],
)
def test_a_text_as_yaml_reads_it(text, value):
    """YAML 1.1; dates and nothing at all stay text, since no key takes them."""
    assert scalar(text) == value and type(scalar(text)) is type(value)


def test_a_key_that_stands_twice_is_refused(tmp_path):
    """PyYAML keeps the second: of two figures of one name the first would be gone without a word."""
    path = tmp_path / "tables.yaml"
    path.write_text("figures:\n  sizes: {title: A}\n  depth: {title: B}\n  sizes: {title: C}\n")
    with pytest.raises(UserError, match=r"tables\.yaml line 4 .*the key 'sizes' stands twice"):
        read_yaml(path)


def test_a_number_with_an_exponent_needs_no_point(tmp_path):
    (tmp_path / "a.yaml").write_text("rates: [1e-5, 1.0e-5, -2E3, '1e-5', 1e-x]\n")
    assert read_yaml(tmp_path / "a.yaml")["rates"] == [1e-5, 1e-5, -2000.0, "1e-5", "1e-x"]


def test_yaml_that_is_no_utf_8(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"title: \xff")
    with pytest.raises(UserError, match="is no UTF-8 text"):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is missing"),
        (b"{", "cannot be read as JSON (Expecting"),
        (b"\xff", "cannot be read as JSON ('utf-8'"),
        (b"[" * 100_000, "cannot be read as JSON (maximum recursion"),
        (b"[]", "holds no mapping"),
    ],
)
def test_json_that_is_no_mapping_is_one_sentence_with_the_next_step(tmp_path, content, reason):
    path = tmp_path / "record.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyError) as caught:
        read_json(path, "run again", KeyError)
    (sentence,) = caught.value.args
    assert sentence.startswith(f"{path} {reason}") and sentence.endswith(": run again")
    write_json(path, {"a": 1})
    assert read_json(path, "run again") == {"a": 1}
