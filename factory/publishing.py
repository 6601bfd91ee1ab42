"""Publish a finished W-Matrix in the marketplace, as its seller; then, as the certifier, record what was measured.

What the factory says of its own files is declared, too. Its measurements are events of their own, and the certificate
rests on these.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from factory.recipes.results import Generated
from latentmas.events.types import Metadata
from latentmas.protocol.money import Money
from latentmas.protocol.quality import MEASURED, Basis, PrivateCells, declared
from latentmas.protocol.versions import parse_version
from latentmas.protocol.w_matrix import Space
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model
from marketplace.listings.aggregate import CertificationDecision, listing_id_for
from marketplace.listings.commands import certify_version, create_listing, measure_version, publish_version
from marketplace.listings.events.certification import VersionCertified, VersionMeasured
from marketplace.listings.events.listing import ListingCreated, ModelLicence, StoredFile, VersionPublished
from marketplace.listings.models import Listing, ListingVersion
from marketplace.texts.free_text import FreeText

SELLER = "latentmas"
FREE = Money(0, "USD")  # until purchases exist
FIRST_VERSION = "1.0.0"


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    listing_id: str
    version: str
    decision: CertificationDecision | None  # None: simulated figures and yanked versions are never certified


def next_version(source: str, target: str, basis: Basis, *, space: Space = Space.KV_CACHE) -> str:
    """Return the version number of the pair's next W-Matrix: 1.0.0, then one minor version above the last."""
    listing_id = listing_id_for(source=source, target=target, seller=SELLER, basis=basis, space=space)
    last = ListingVersion.objects.filter(listing_id=listing_id).order_by("-major", "-minor", "-patch").first()
    if last is None:
        return FIRST_VERSION
    version = parse_version(last.version)
    return str(replace(version, minor=version.minor + 1, patch=0))


def publish(
    generated: Generated, *, metadata: Metadata, examine: Callable[[], PrivateCells | None] | None = None
) -> PublishedVersion:
    """List a finished W-Matrix, unless this version is listed already, and certify or refuse its measured figures.

    `examine` measures it on private texts once its digest is on record; it is left out for what was fitted on this
    server's own captures alone.
    """
    basis = generated.quality.basis
    source, target = get_model(generated.source.name), get_model(generated.target.name)
    space = generated.space
    listing_id = listing_id_for(source=source.name, target=target.name, seller=SELLER, basis=basis, space=space)
    listed = ListingVersion.objects.filter(listing_id=listing_id, version=generated.version).first()
    if listed is None:
        if not Listing.objects.filter(id=listing_id).exists():
            create_listing(_listing(listing_id, source, target, basis, space=space), metadata=metadata)
        publish_version(listing_id, published=_version(generated), metadata=metadata)
    decision = None
    if basis is not Basis.SIMULATED and not (listed and listed.yanked):
        measured = None if listed and listed.measured_at else _measured(generated)
        if measured is not None:
            if examine is not None:
                measured = replace(measured, made_here=False, private=examine())
            measure_version(listing_id, measured=measured, requested_by=metadata.actor)
        decision = certify_version(listing_id, version=generated.version, metadata=metadata)
    return PublishedVersion(listing_id, generated.version, decision)


def tier_of(decision: CertificationDecision | None) -> tuple[str, str]:
    """Return tier and grade as text: "refused" and a dash after a refusal, two dashes without a decision."""
    if isinstance(decision, VersionCertified):
        return decision.tier.value, decision.grade.value
    return ("refused", "-") if decision is not None else ("-", "-")


def _listing(
    listing_id: str, source: RegisteredModel, target: RegisteredModel, basis: Basis, *, space: Space
) -> ListingCreated:
    description = EMBEDDINGS if space is Space.EMBEDDING else DESCRIPTIONS[basis]
    return ListingCreated(
        listing_id=listing_id,
        title=FreeText(f"{source.name} → {target.name}"),
        description=FreeText(description.format(source=source.name, target=target.name)),
        source_model=source.name,
        target_model=target.name,
        seller=SELLER,
        price=FREE,
        licences=tuple(ModelLicence(model.name, model.licence_name, model.licence_url) for model in (source, target)),
        tags=(basis.value,),
        space=space,
    )


DESCRIPTIONS = {
    Basis.FUNCTIONAL: (
        "Maps the KV-cache of {source} into that of {target}. Made from what both models keep of the same texts, and "
        "measured on held-out documents with {target} itself."
    ),
    Basis.ACTIVATION: (
        "Maps the KV-cache of {source} into that of {target}. Fitted on captured activations of both models and "
        "measured on held-out ones; {target} itself was not run, so nothing here is certified."
    ),
    Basis.DECLARED: (
        "Maps the KV-cache of {source} into that of {target}. Fitted on contributed activations. Its figures follow "
        "from held-out rows that somebody sent: this server has not seen the models make them, so nothing here is "
        "certified."
    ),
    Basis.SIMULATED: (
        "A placeholder of the right kind for {source} and {target}, fitted on a simulated latent source. Its figures "
        "say nothing about the two models; it does not transfer their memories."
    ),
}
EMBEDDINGS = (
    "Maps passage vectors of {source} into the vector space of {target}. Fitted on vectors of the same passages and "
    "measured by retrieval among the vectors that {target} itself gives held-out passages."
)


def _version(generated: Generated) -> VersionPublished:
    return VersionPublished(
        version=generated.version,
        method=generated.method,
        standard=generated.standard,
        source_dimension=generated.source_dimension,
        unified_dimension=generated.unified_dimension,
        target_dimension=generated.target_dimension,
        source_weights=generated.source.weights,
        target_weights=generated.target.weights,
        file=StoredFile(generated.file, generated.file_size),
        report=StoredFile(generated.report, generated.report_size),
        quality=declared(generated.quality),
        space=generated.space,
    )


def _measured(generated: Generated) -> VersionMeasured | None:
    """Return the measurement, None where there is none or where it is not known what was measured with."""
    source, target, instrument = generated.source.weights, generated.target.weights, generated.instrument
    if generated.quality.basis not in MEASURED or source is None or target is None or instrument is None:
        return None
    return VersionMeasured(
        version=generated.version,
        file=generated.file,
        source_weights=source,
        target_weights=target,
        instrument=instrument,
        report=StoredFile(generated.report, generated.report_size),
        quality=generated.quality,
        made_here=True,
    )
