"""What a cold start's plan reads from the database: candidate models, and measured listings to estimate from."""

from factory.cold_start.planner import Candidate, MeasuredPair
from factory.runners.weights import PACKAGED
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model
from marketplace.listings.models import Listing


def candidates(names: list[str] | None) -> list[Candidate]:
    """Return the active models to plan with, or those of `names`. Raises ModelNotSupported or InvalidInput."""
    if names is None:
        return [_candidate(model) for model in RegisteredModel.objects.filter(active=True).order_by("name")]
    chosen = {model.name: model for model in (get_model(name, require_active=True) for name in names)}
    if len(chosen) < 2:
        raise InvalidInput(
            f"{', '.join(names)} is one model; source and target must be two different ones", field="models"
        )
    return [_candidate(model) for model in chosen.values()]


def measured_listings() -> list[MeasuredPair]:
    """Return the measured listings that an estimate can rest on."""
    families = dict(RegisteredModel.objects.values_list("name", "family"))
    listings = Listing.objects.filter(basis=Basis.FUNCTIONAL).values_list("source_model", "target_model", "retention")
    return [
        MeasuredPair(source, target, families[source], families[target], retention)
        for source, target, retention in listings
        if retention is not None
    ]


def _candidate(model: RegisteredModel) -> Candidate:
    return Candidate(
        name=model.name,
        family=model.family,
        popularity=model.popularity,
        kv_width=model.kv_width,
        latent_dimension=model.latent_dimension,
        can_run=model.name in PACKAGED,
    )
