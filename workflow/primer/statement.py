"""A statement of the teaching material beside what was computed, and the rules that turn the two into a verdict. Torch-free.

A printed number is as precise as its digits say, and that is the tolerance: the computed one must round to it. The verdicts:
right (equal, or equal outputs) · right as rounded · right, digits cut off (8,665.9 printed as 8,600) · right in the limit ·
right under a condition · wrong · depends on the machine (times) · not checked.
"""

import math
from dataclasses import asdict, dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

RIGHT, ROUNDED, CUT = "right", "right as rounded", "right, digits cut off"
LIMIT, CONDITION = "right in the limit", "right under a condition"
WRONG, MACHINE, UNCHECKED = "wrong", "depends on the machine", "not checked"
VERDICTS = (RIGHT, ROUNDED, CUT, LIMIT, CONDITION, WRONG, MACHINE, UNCHECKED)
ARTICLE = "article"
NOTES = "CS231n"
ANSWERS = "Q&A"
SOURCES = {
    ARTICLE: "How to optimize Convolutional Layer with Convolution Kernel (Sicara's blog)",
    NOTES: "CS231n, notes and slides on convolutional networks (Stanford)",
    ANSWERS: "questions and answers on replacing a 5x5 convolution by two 3x3",
}
EQUAL = 1e-5  # greatest difference of outputs that are called equal, as a share of the greatest output
IN_THE_LIMIT = 0.01  # how near the last of a growing series has to come to its limit

Value = int | float | str


@dataclass(frozen=True)
class Statement:
    """One row of the primer. `printed` and `computed`: a number or a short text, in the unit that `text` names."""

    key: str
    topic: str
    text: str
    source: str
    printed: Value
    computed: Value
    verdict: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict is {self.verdict!r}: choose one of {', '.join(VERDICTS)}.")
        if self.source not in SOURCES:
            raise ValueError(f"source is {self.source!r}: choose one of {', '.join(SOURCES)}.")

    def to_dict(self) -> dict:
        """As the record keeps it."""
        return asdict(self)


def significant(value: float, digits: int, rounding: str = ROUND_HALF_UP) -> Decimal:
    """`value` with so many significant digits. ValueError for fewer than one digit or a value that is not finite."""
    if digits < 1 or not math.isfinite(value):
        raise ValueError(f"{value} cannot be given {digits} significant digits: give a finite value and one or more.")
    exact = Decimal(str(value))
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), rounding) if exact else exact


def judge(printed: Value, computed: Value, digits: int | None = None) -> str:
    """The verdict on a printed value; `digits`: the significant digits it is printed with (None: it is exact)."""
    if isinstance(printed, str) or isinstance(computed, str):
        return RIGHT if printed == computed else WRONG
    if math.isclose(printed, computed, rel_tol=1e-12):
        return RIGHT
    if digits is not None:
        if significant(computed, digits) == significant(printed, digits):
            return ROUNDED
        if significant(computed, digits, ROUND_DOWN) == significant(printed, digits):
            return CUT
    return WRONG


def judge_limit(printed: float, series: list[float]) -> str:
    """The verdict on a ratio that a growing series only tends to: its last value has to come within 1 %."""
    nearer = all(abs(a - printed) > abs(b - printed) for a, b in zip(series, series[1:], strict=False))
    return LIMIT if nearer and abs(series[-1] / printed - 1) <= IN_THE_LIMIT else WRONG


def judge_equal(difference: float) -> str:
    """The verdict on outputs said to be equal; `difference` as a share of the greatest output."""
    return RIGHT if difference <= EQUAL else WRONG


def equality(difference: float) -> str:
    """The same in a word, as the computed value of such a statement."""
    return "equal" if difference <= EQUAL else "not equal"


def shown(value: Value) -> str:
    """A value as people read it: 8,666, 1.389, 5 x 5."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
