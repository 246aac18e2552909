"""Seconds in words, by hand."""

import pytest

from workflow.support.durations import rounded, spelled_out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (44.6, "45 s"),
        (89, "89 s"),
        (90, "2 min"),
        (720, "12 min"),
        (5340, "89 min"),
        (12240, "3.4 h"),
        (258_000, "71.7 h"),
        (432_000, "5 days"),
    ],
)
def test_an_estimate_is_rounded(seconds, words):
    assert rounded(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(8.44, "8.4 s"), (12.2, "12 s"), (200, "3 min 20 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_what_a_person_waits_for_is_spelled_out(seconds, words):
    assert spelled_out(seconds) == words
