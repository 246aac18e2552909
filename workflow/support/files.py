"""Files that appear whole or not at all."""

import fcntl
import json
import os
import re
from contextlib import suppress
from pathlib import Path

import yaml

from workflow.support.errors import UserError

ROOT = Path(__file__).resolve().parents[2]  # the checkout


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file by way of a temporary one beside it; a kill at any moment leaves the old file or the new one.

    The temporary file has one name, so that the next to write takes over what a killed process left, and there is never more than one.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _alone(temporary)
    except OSError as error:
        raise UserError(
            f"{path.parent} cannot be written ({error.strerror}): free the folder, or choose another."
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:  # to the end, for its lock
            try:
                file.truncate()
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(temporary, 0o644)  # whatever the umask: colleagues may read results
                os.replace(temporary, path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): make room or choose another folder.") from None


def _alone(path: Path) -> int:
    """A descriptor of the file that no other process writes: its lock is waited for. What a killed process left is taken over.

    A file that was moved into place while it was waited for is no longer this one: then try again.
    """
    while True:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == os.stat(path).st_ino:
                return handle
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all; of letters that UTF-8 does not have, their numbers."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: object) -> None:
    """Write JSON with sorted keys; NaN and infinity are refused (ValueError), since no record may hold one."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, again: str, error: type[Exception] = UserError) -> dict:
    """The mapping in a JSON file; where there is none, `error` with a sentence that ends with `again`, the next step."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{path} is missing: {again}") from None
    except (OSError, RecursionError, ValueError) as reason:
        raise error(f"{path} cannot be read as JSON ({reason}): {again}") from None
    if not isinstance(content, dict):
        raise error(f"{path} holds no mapping: {again}")
    return content


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml, ten times as fast, where PyYAML has it
    """YAML in which no key stands twice (PyYAML keeps the last one) and 1e-5 is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key.value}' stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep)
        except (ValueError, AttributeError):  # PyYAML's own, of what has the form of a date or number and is none
            problem = f"'{node.value}' is no date or number; a text needs quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))


def scalar(text: str) -> object:
    """A text as YAML reads it where it is true, false or a number; else the text."""
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    if tag.rpartition(":")[2] not in ("bool", "int", "float"):
        return text
    try:
        return loader.construct_object(yaml.ScalarNode(tag, text))
    except yaml.YAMLError:
        return text


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file; a UserError names the file and the line that is wrong."""
    try:
        content = _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): restore it or correct the path.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no UTF-8 text: save it as such.") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise UserError(f"{path}{line} is not valid YAML ({getattr(error, 'problem', error)}): correct it.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a mapping of keys to values: correct it.")
    return content
