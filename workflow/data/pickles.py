"""Pickled batches, read without running anything in them.

A pickle is a program: it may name any function and call it. This reader resolves six names, those that NumPy's own arrays are written
with, to passive stand-ins of its own, and refuses all others. Arrays become read-only views of the pickle's bytes, not copies.
"""

import pickle
import re
from collections.abc import Mapping
from typing import BinaryIO, Literal

import numpy as np


class UnsafePickle(Exception):
    """The pickle names something else than arrays, lists, dictionaries, text and numbers."""


class _DType:
    """An element type in the making: a code such as "u1", and the byte order that its state may set."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else str(code)
        if not re.fullmatch(r"[<>|=]?[biuf][1248]", text):
            raise UnsafePickle(f"an array of type {text!r}")
        self.code = text

    def __setstate__(self, state: tuple) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise UnsafePickle(f"the byte order {order!r}")
        self.code = order.replace("|", "") + self.code.lstrip("<>|=")

    def numpy(self) -> np.dtype:
        return np.dtype(self.code)


class _Array:
    """An array in the making."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, raw = state
        self.value = _values(raw, dtype, shape, "F" if fortran else "C")


class _NdarrayName:
    """What `numpy.ndarray` resolves to: only ever an argument."""


def _values(raw: object, dtype: object, shape: tuple, order: Literal["C", "F"] = "C") -> np.ndarray:
    if isinstance(raw, str):  # Python 2 text
        raw = raw.encode("latin-1")
    if not isinstance(dtype, _DType) or not isinstance(raw, bytes | bytearray | pickle.PickleBuffer):
        raise UnsafePickle("an array of objects")
    return np.frombuffer(raw, dtype.numpy()).reshape(shape, order=order)  # type: ignore[arg-type]  # any buffer


def _view(raw: object, dtype: object, shape: tuple, order: Literal["C", "F"] = "C") -> _Array:
    array = _Array()
    array.value = _values(raw, dtype, shape, order)
    return array


def _reconstruct(_kind: object, _shape: object, _code: object) -> _Array:
    return _Array()


def _scalar(dtype: object, raw: object = b"\0" * 8) -> int | float:
    return _values(raw, dtype, (1,))[0].item()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise UnsafePickle(f"text encoded as {encoding!r}")
    return text.encode("latin-1")


_NAMES = {"ndarray": _NdarrayName, "dtype": _DType}
_MULTIARRAY = {"_reconstruct": _reconstruct, "scalar": _scalar}
_ALLOWED: dict[str, Mapping[str, object]] = {
    "numpy": _NAMES,
    "numpy.core.multiarray": _MULTIARRAY,
    "numpy._core.multiarray": _MULTIARRAY,
    "numpy.core.numeric": {"_frombuffer": _view},
    "numpy._core.numeric": {"_frombuffer": _view},
    "_codecs": {"encode": _encode},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        try:
            return _ALLOWED[module][name]
        except KeyError:
            raise UnsafePickle(f"{module}.{name}") from None


def read_batch(file: BinaryIO) -> dict[str, object]:
    """The dictionary of a pickled batch, keys as text, arrays as NumPy views.

    Raises UnsafePickle where it names anything but data (nothing of it is run), ValueError where it is damaged or no dictionary.
    """
    try:
        batch = _Reader(file, encoding="bytes").load()
    except UnsafePickle:
        raise
    except MemoryError:
        raise ValueError("it asks for more memory than there is") from None
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise ValueError(str(error) or type(error).__name__) from None
    if not isinstance(batch, dict):
        raise ValueError(f"it holds a {type(batch).__name__}, not a dictionary")
    return {
        key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key): value.value
        if isinstance(value, _Array)
        else value
        for key, value in batch.items()
    }
