"""Terminal output of the cold start: the plan, the table of results and the summaries (specification 3.4)."""

from collections import Counter
from collections.abc import Sequence
from statistics import mean

from rich.table import Table

from factory.cold_start.planner import PlannedPair, fit_cost
from factory.cold_start.run import Outcome
from factory.publishing import tier_of
from factory.recipes.simulated import CALIBRATION_ROWS
from latentmas.protocol.quality import Basis, Interval
from marketplace.listings.estimates import Estimate


def plan_table(pairs: Sequence[PlannedPair], estimates: Sequence[Estimate], *, rows: int) -> Table:
    """Return the plan as a table: basis, multiply-adds of the fit, and what measured pairs say about the retention."""
    table = Table(title=f"Plan: {len(pairs)} pairs", caption=_evidence(estimates), caption_justify="left")
    for heading in ("pair", "basis", "popularity", "fit (multiply-adds)", "estimated retention, not measured"):
        table.add_column(heading)
    for pair, guess in zip(pairs, estimates, strict=True):
        table.add_row(_name(pair), pair.basis.value, str(pair.popularity), _cost(pair, rows), _guess(guess))
    return table


def result_table(outcomes: Sequence[Outcome]) -> Table:
    """Return a table with one row per pair. Simulated pairs are dimmed and have no tier."""
    table = Table(title="W-Matrices")
    headings = ("pair", "method", "basis", "epsilon", "retention [95 %]", "tier", "grade", "file", "SHA-256", "")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        made = outcome.generated
        if made is None:
            assert outcome.problem is not None
            table.add_row(
                _name(outcome.pair), "-", outcome.pair.basis.value, *[""] * 6, outcome.problem.code, style="red"
            )
            continue
        quality = made.quality
        retained = _interval(quality.retention.aligned) if quality.retention else "not measured"
        tier, grade = tier_of(outcome.published.decision if outcome.published else None)
        table.add_row(
            _name(outcome.pair),
            made.method,
            quality.basis.value,
            f"{quality.epsilon:.4f}",
            retained,
            tier,
            grade,
            f"{made.file_size / 1e6:.1f} MB",
            made.file.removeprefix("sha256:")[:16],
            "ready" if outcome.was_ready else "new",
            style="dim" if quality.basis is Basis.SIMULATED else "bold",
        )
    return table


def summary(outcomes: Sequence[Outcome], *, planned: int, seconds: float) -> list[str]:
    """Return the specification's summaries (3.4): totals, tiers, grades, families; figures of each basis apart."""
    made = [outcome for outcome in outcomes if outcome.generated is not None]
    ready = sum(outcome.was_ready for outcome in made)
    lines = [f"{len(made)} of {planned} pairs: {len(made) - ready} made, {ready} ready before, {seconds:.1f} s"]
    for basis in Basis:
        epsilons = [each.generated.quality.epsilon for each in made if each.generated and each.pair.basis is basis]
        if epsilons:
            lines.append(f"Average epsilon, {basis.value}: {mean(epsilons):.4f} over {len(epsilons)}")
    decided = [tier_of(each.published.decision) for each in made if each.published and each.published.decision]
    lines.append(_counts("Certification", Counter(tier for tier, _ in decided)))
    lines.append(_counts("Quality grades", Counter(grade for _, grade in decided if grade != "-")))
    families = Counter(family for each in made for family in (each.pair.source.family, each.pair.target.family))
    lines.append(_counts("Model families", families))
    skipped = [outcome for outcome in outcomes if outcome.problem is not None]
    lines += [f"Skipped {_name(each.pair)}: {each.problem} {each.problem.advice}" for each in skipped if each.problem]
    return lines


def _counts(title: str, counter: Counter[str]) -> str:
    return f"{title}: " + (", ".join(f"{name} {count}" for name, count in counter.most_common()) or "none")


def _name(pair: PlannedPair) -> str:
    return f"{pair.source.name} → {pair.target.name}"


def _guess(estimate: Estimate) -> str:
    interval, pairs = f"[{estimate.low:.2f}, {estimate.high:.2f}]", len(estimate.rests_on)
    figure = interval if estimate.value is None else f"{estimate.value:.2f} {interval}"
    source = f" from {pairs} measured {'pair' if pairs == 1 else 'pairs'}" if pairs else ""
    own = f"; itself measured: {_interval(estimate.own.retention)}" if estimate.own else ""
    return f"{figure}: {estimate.known} is known{source}{own}"


def _evidence(estimates: Sequence[Estimate]) -> str:
    pairs = {item.pair.listing_id: item.pair for estimate in estimates for item in estimate.rests_on}
    if not pairs:
        return "No pair was measured, so there is nothing that an estimate could rest on."
    figures = sorted(f"{pair} {_interval(pair.retention)}" for pair in pairs.values())
    return f"95 % of pairs are expected inside their interval. The estimates rest on {', '.join(figures)}."


def _interval(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _cost(pair: PlannedPair, rows: int) -> str:
    if pair.basis is Basis.SIMULATED:
        source, target, count, primal = (
            pair.source.latent_dimension,
            pair.target.latent_dimension,
            CALIBRATION_ROWS,
            False,
        )
    else:
        source, target, count, primal = pair.source.kv_width, pair.target.kv_width, rows, True
    if source is None or target is None:
        return "unknown"
    return f"{fit_cost(source, target, rows=count, primal=primal):.1e}"
