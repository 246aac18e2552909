"""Numbers as people read them. One place, so that tables, claims, figures and page cannot differ."""

import math

from workflow.report.stats import Interval, Sample

NONE = "–"
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 2) -> str:
    """Fixed decimals with a true minus sign."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def signed(value: float, digits: int = 2) -> str:
    """Fixed decimals, always with a sign (zero has none)."""
    text = number(value, digits)
    return text if float(f"{value:.{digits}f}") <= 0 else f"+{text}"


def significant(value: float | None, digits: int = 3) -> str:
    """Significant digits without an exponent: 1800, 205, 17.8, 0.0412."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return number(value, decimals)


def plus_minus(mean: float | None, std: float | None, digits: int = 2) -> str:
    """`92.35 ± 0.05`; no ± without a spread. A spread that rounds to nothing shows the digits that it has."""
    if mean is None:
        return NONE
    if std is None:
        return number(mean, digits)
    spread = f"{std:.{digits}f}" if std == 0 or std >= 0.5 * 10**-digits else f"{std:.1g}"
    return f"{number(mean, digits)} ± {spread}"


def published(mean: float | None, std: float | None) -> str:
    """A mean and spread as printed elsewhere: with as many decimals, up to two, as the more precise of the two was given."""
    given = [len(repr(float(value)).partition(".")[2].rstrip("0")) for value in (mean, std) if value is not None]
    return plus_minus(mean, std, min(2, max(1, *given))) if given else NONE


def of_sample(found: Sample | None, digits: int = 2) -> str:
    """A sample's mean and spread."""
    return NONE if found is None else plus_minus(found.mean, found.std, digits)


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """`[−0.21, 0.47]`."""
    return "" if low is None else f"[{number(low, digits)}, {number(high, digits)}]"


def difference(found: Interval | None, digits: int = 2) -> str:
    """`+0.13 [−0.21, 0.47]`, without brackets where there is no interval."""
    return NONE if found is None else f"{signed(found.value, digits)} {interval(*found.ends, digits)}".rstrip()


def millions(count: float | None, digits: int = 3) -> str:
    """A count in millions: 0.657M, 41.0M."""
    if count is None:
        return NONE
    value = count / 1e6
    return f"{value:.{digits}f}M" if value < 10 else f"{value:.1f}M" if value < 1000 else f"{value:,.0f}M"


def times(ratio: float | None) -> str:
    """A ratio: ×7.15."""
    return NONE if ratio is None else f"×{significant(ratio)}"


def size(value: int | list[int]) -> str:
    """One kernel size: 5, or 5×7 for a pair that is not square."""
    if isinstance(value, list):
        return str(value[0]) if len(set(value)) == 1 else "×".join(map(str, value))
    return str(value)


def some(names: tuple[str, ...], most: int = 3) -> str:
    """`a, b, c and 7 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def counted(number: int, what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def plain(text: str) -> str:
    """For CSV files and terminals: ASCII minus signs."""
    return text.replace(MINUS, "-")
