"""From a difference to the answer to a question: which way it points, yes or no, and the p value of the test behind it."""

from workflow.report.stats import NARROW, Difference

YES, NO, UNDECIDED, UNKNOWN = "yes", "no", "undecided", "not measured"
BETTER, WORSE, EQUAL = "better", "worse", "equal"


def way_of(found: Difference, within: float = 0.0) -> str:
    """Better, worse, equal (within so many points, where they were fixed beforehand) or undecided."""
    if found.low > 0 or found.high < 0:
        return BETTER if found.low > 0 else WORSE
    return EQUAL if within and found.at(NARROW).inside(within) else UNDECIDED


def verdict_of(found: Difference, rule: str = "pairs", within: float = 0.0) -> str:
    """Yes, no or undecided. `within`: points that count as equal; what is equal is not better."""
    if not found.decided:
        return UNDECIDED
    narrow = found.at(NARROW)
    if rule == "equal":
        yes, no = narrow.inside(within), found.low > within or found.high < -within
    elif rule == "not_smaller":
        yes, no = narrow.low >= -within, found.high < -within
    else:
        way = way_of(found, within)
        yes, no = way == BETTER, way in (WORSE, EQUAL)
    return YES if yes else NO if no else UNDECIDED


def p_of(found: Difference, rule: str, within: float, verdict: str) -> float:
    """The p value of the test that a verdict rests on."""
    below = lambda difference: min(1.0, 2 * difference.negative().above(within))  # two-sided, of "at least -within"
    if rule == "not_smaller":
        return below(found) if verdict == NO else found.above(-within)
    if rule == "equal":
        return min(below(found), below(found.negative())) if verdict == NO else found.equivalence(within)
    return found.equivalence(within) if way_of(found, within) == EQUAL else found.p
