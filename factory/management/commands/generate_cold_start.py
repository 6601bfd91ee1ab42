"""Fill the marketplace with W-Matrices."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from rich.console import Console

from factory.cold_start import planner, report
from factory.cold_start.run import (
    REFINEMENT_STEPS,
    ColdStartOptions,
    Outcome,
    candidates,
    default_session,
    distilled_pairs,
    run,
)
from factory.console import bars, stage_in
from factory.corpora import load_corpus
from factory.corpora.suite import CORE, LENGTHS
from factory.packs.capture import CALIBRATION_TOKENS
from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand
from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Method
from marketplace.listings.estimates import estimate
from marketplace.listings.queries import measured_listings, measured_pairs

METADATA = Metadata(actor="command:generate_cold_start")
INTERRUPTED = 130


class Command(OperatorCommand):
    help = "Make W-Matrices for the planned pairs: measured where both models can be run, simulated elsewhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        limits = planner.Limits()
        parser.add_argument("--dry-run", action="store_true", help="Print the plan and make nothing.")
        parser.add_argument("--max-pairs", type=int, default=limits.max_pairs, help="Size of the batch.")
        parser.add_argument("--min-popularity", type=int, default=limits.min_popularity)
        parser.add_argument("--test-samples", type=int, default=1000, help="Least number of scored tokens.")
        parser.add_argument("--publish", action="store_true", help="List what was made in the marketplace.")
        parser.add_argument("--models", help="Only pairs of these models, comma-separated.")
        parser.add_argument("--no-simulated", action="store_true", help="Only pairs that are measured.")
        parser.add_argument("--no-measured", action="store_true", help="Only pairs that are simulated; a minute.")
        parser.add_argument(
            "--corpus", help="broad (the default), lee, wikipedia, lee+wikipedia, a text file, folder or JSONL."
        )
        parser.add_argument("--suite", choices=list(LENGTHS), default=CORE, help="What measured pairs are judged on.")
        parser.add_argument("--fit", action="store_true", help="Fit maps here, also where a distilled one is at hand.")
        parser.add_argument("--unified-dimension", type=int, help="Default: chosen on the selection documents.")
        parser.add_argument("--calibration-tokens", type=int, default=CALIBRATION_TOKENS)
        methods = [method.value for method in Method]
        parser.add_argument("--method", choices=methods, default=Method.LEARNED.value, help="Of measured pairs.")
        parser.add_argument(
            "--refinement-steps",
            type=int,
            default=REFINEMENT_STEPS,
            help="Go on with so many gradient steps on the target's own loss (some seconds each). "
            f"{REFINEMENT_STEPS} by default; 0: none.",
        )
        parser.add_argument("--eight-bit", action="store_true", help="Write encoders and decoders as int8.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["refinement_steps"] < 0:
            raise CommandError(f"--refinement-steps is {options['refinement_steps']}; it must be at least 0")
        for name in ("max_pairs", "test_samples", "calibration_tokens"):
            if options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} is {options[name]}; it must be at least 1")
        console = self.console()
        pairs = self._plan(options)
        if options["dry_run"]:
            measured = measured_pairs(measured_listings(at=timezone.now()))
            estimates = [estimate(pair.source, pair.target, measured) for pair in pairs]
            console.print(report.plan_table(pairs, estimates, rows=options["calibration_tokens"]))
            return
        started = time.monotonic()
        outcomes = self._make(pairs, options, console)
        console.print(report.result_table(outcomes))
        for line in report.summary(outcomes, planned=len(pairs), seconds=time.monotonic() - started):
            console.print(line, markup=False, highlight=False)
        if len(outcomes) < len(pairs):
            self.stderr.write(f"Interrupted: {len(outcomes)} of {len(pairs)} pairs are done; run again to continue.")
            raise SystemExit(INTERRUPTED)
        if any(outcome.problem for outcome in outcomes):
            raise CommandError("some pairs could not be made; the reasons are listed above")

    def _plan(self, options: dict[str, Any]) -> list[planner.PlannedPair]:
        names = [name.strip() for name in options["models"].split(",")] if options["models"] else None
        models = candidates(names)
        closed = [candidate.name for candidate in models if not candidate.can_run]
        if names and options["no_simulated"] and closed:
            raise ModelNotSupported(
                f"the weights of {', '.join(closed)} are not at hand, so nothing about them can be measured",
                resolution="Leave out --no-simulated, or name models that can be run.",
            )
        limits = planner.Limits(
            max_pairs=options["max_pairs"],
            min_popularity=options["min_popularity"],
            simulated=not options["no_simulated"],
        )
        fitted = options["fit"] or options["no_measured"]
        pairs = planner.plan(models, limits, distilled=() if fitted else distilled_pairs(models))
        return [pair for pair in pairs if not options["no_measured"] or pair.basis is Basis.SIMULATED]

    def _make(self, pairs: list[planner.PlannedPair], options: dict[str, Any], console: Console) -> list[Outcome]:
        outcomes: list[Outcome] = []
        # A corpus that was asked for is checked now; the default one only where a model is run.
        corpus = load_corpus(options["corpus"]) if options["corpus"] else None
        with bars(console) as display:
            session = default_session(
                stage=stage_in(display),
                metadata=METADATA,
                corpus=corpus,
                suite=options["suite"],
                tokens=options["calibration_tokens"],
            )
            wanted = ColdStartOptions(
                options["test_samples"],
                options["publish"],
                options["unified_dimension"],
                Method(options["method"]),
                options["refinement_steps"],
                options["eight_bit"],
                distilled=not options["fit"],
            )
            whole = session.stage("all pairs")
            whole(0, len(pairs))
            try:
                for outcome in run(pairs, wanted, session=session, metadata=METADATA):
                    outcomes.append(outcome)
                    whole(len(outcomes), len(pairs))
            except KeyboardInterrupt:
                return outcomes
        return outcomes
