"""Rules on learned sizes: where the largest kernels are, which layers agree, whether a search has come to rest, what kernels cost."""

from collections.abc import Iterable, Mapping
from statistics import fmean

from workflow.report import text
from workflow.report.claims import protocols, verdicts
from workflow.report.claims.rules import Missing, RowId, Setting, rule
from workflow.report.claims.verdicts import Finding
from workflow.report.rows import rows_of


def _means(seeds: list[list[float]]) -> list[float]:
    return [fmean(values) for values in zip(*seeds, strict=True)]


@rule("sizes")
def largest_layer(setting: Setting, *, row: RowId, layer: int, tolerance: int, deepest: int) -> Finding:
    """The largest kernel is in `layer` (give or take `tolerance` layers), not among the `deepest` last ones."""
    seeds = setting.sizes(row)
    means = _means(seeds)
    peaks = [index for index, size in enumerate(means, 1) if size == max(means)]
    places = [[index for index, size in enumerate(sizes, 1) if size == max(sizes)] for sizes in seeds]
    late = len(means) - deepest
    listed = lambda layers: ", ".join(map(str, layers))
    where = f"layer {peaks[0]}" if len(peaks) == 1 else f"layers {listed(peaks)} (a tie)"
    words = f"largest mean size {max(means):.1f} in {where}; by seed: layers {'; '.join(map(listed, places))}"
    if len(seeds) < 2:
        return Finding(verdicts.UNDECIDED, words)
    if all(min(found) > late for found in places):
        return Finding(verdicts.FAILS, words)
    early = all(max(found) <= late for found in places)
    if early and all(layer in found for found in places) and peaks == [layer]:
        return Finding(verdicts.HOLDS, words)
    if early and any(abs(peak - layer) <= tolerance for peak in peaks):
        return Finding(verdicts.TOLERANCE, words)
    if early and all(min(abs(place - layer) for place in found) > tolerance for found in places):
        return Finding(verdicts.FAILS, words)
    return Finding(verdicts.UNDECIDED, words)


@rule("sizes")
def first_layers_agree(setting: Setting, *, row: RowId, other: RowId, layers: int, tolerance: float) -> Finding:
    """Two rows choose the same sizes in the first `layers` and differ more in the rest; `tolerance`: mean difference in the first."""
    a, b = setting.sizes(row), setting.sizes(other)
    gaps = [abs(x - y) for x, y in zip(_means(a), _means(b), strict=True)]
    first, rest = fmean(gaps[:layers]), fmean(gaps[layers:])
    words = f"mean difference in size {first:.2f} over the first {layers} layers, {rest:.2f} over the other {len(gaps) - layers}"
    if min(len(a), len(b)) < 2:
        return Finding(verdicts.UNDECIDED, words)
    if first == 0 and rest > 0:
        return Finding(verdicts.HOLDS, words)
    return Finding(verdicts.TOLERANCE if first <= tolerance and first < rest else verdicts.FAILS, words)


@rule("counts")
def kernel_evaluations(setting: Setting, *, row: RowId, side_of_input: int) -> Finding:
    """`row` evaluates every kernel at all N * N positions of the input, whatever size it has.

    Counted on the network: as training starts, and with a trained network's sizes. One that crops its kernels before it evaluates
    them, as FlexConv's published code does, spends the cropped positions only. That a kernel of EffConv's takes s * s steps is Eq. 5
    itself, which there is nothing to count of.
    """
    start, trained = setting.kernel_positions(row)
    full = side_of_input**2
    words = (
        f"{setting.row(row).name} evaluates a kernel at {text.significant(start)} positions as training starts and, by the sizes of a "
        f"trained network in its authors' figure, at {text.significant(trained)} in the mean, where the whole input has {full}"
    )
    return Finding(verdicts.HOLDS if min(start, trained) >= 0.9 * full else verdicts.FAILS, words)


def _searches(dataset: str, part: Mapping, tables: Mapping) -> Iterable[str]:
    """Every row of every data set that the paper has and whose sizes are learned."""
    for table in tables.values():
        for row in table.rows:
            if row.learn and row.in_paper:
                yield f"{table.dataset}/{row.row}"


def _after_last_step(record: Mapping) -> int:
    """The count of a search's last step; of records that lack it, of the last one that the trajectory has."""
    last: int = record["last"]["parameters"] if record.get("last") else record["trajectory"]["parameters"][-1]
    return last


@rule("sizes", reads=_searches)
def searches_settle(setting: Setting, *, budget: float, drift: float) -> Finding:
    """After its last step, which is Algorithm 1's, every search of the paper's rows is on its budget (within a share `budget`), and
    soft sizes hardly moved in its last tenth (mean below `drift`).

    This is what can be seen of "10 epochs are enough"; that more epochs would not help accuracy is not measured. The step whose sizes
    are trained here is chosen by its count, so that it says nothing.
    """
    misses, drifts, settings, others = [], [], set(), 0
    own = set(_searches(setting.dataset, {}, setting.evidence.plan.tables))
    for row in rows_of(setting.evidence).values():
        for state in row.searched if f"{row.dataset}/{row.id}" in own and setting.source == protocols.PAPER else ():
            record = state.search  # none where only the result is left, which has sizes, too
            if record is None or not (wanted := record["run"]["search"].get("parameters")):
                continue
            if not protocols.paper_search(record["run"]):
                others += 1
                continue
            misses.append(abs(_after_last_step(record) / wanted - 1))
            settings.add(repr(sorted(record["run"]["search"]["options"].items())))
            if soft := record["trajectory"].get("soft_sizes"):
                before = soft[max(0, int(0.9 * len(soft)) - 1)]
                drifts.append(sum(abs(x - y) for x, y in zip(before, soft[-1], strict=True)) / len(before))
    if not misses and others:
        raise Missing(f"{others} searches, none by the paper's protocol", verdicts.NOT_COMPARABLE)
    if not misses:
        raise Missing("no search of the paper's rows has finished")
    moved = max(drifts, default=0.0)
    listed = ", ".join(f"{100 * miss:.1f}" for miss in sorted(misses))
    words = (
        f"{len(misses)} searches with {'the same' if len(settings) == 1 else 'different'} options: after the last step {listed} % off "
        f"their budgets; soft sizes moved by at most {moved:.2f} in the last tenth, averaged over layers"
    )
    if max(misses) > 2 * budget or len(settings) > 1:
        return Finding(verdicts.FAILS, words)
    settled = max(misses) <= budget and moved <= drift
    return Finding(verdicts.HOLDS if settled else verdicts.TOLERANCE, words)
