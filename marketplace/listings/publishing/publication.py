"""Publish what a seller sends: the file, and what he says of it, which is declared and never more.

A version is scanned by a job before it is offered; `decide_submit` refuses any figures but declared ones.
"""

import functools as ft
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from django.conf import settings

from latentmas import blobs
from latentmas.events.commands import execute
from latentmas.events.transactions import transact
from latentmas.events.types import Recorded
from latentmas.jobs.commands import start
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money
from latentmas.protocol.quality import Basis, Quality
from latentmas.protocol.w_matrix import WMatrixDocument, read_document
from latentmas.registry.queries import get_model
from marketplace.listings.aggregate import LISTING, ListingState, decide_create, decide_publish
from marketplace.listings.commands import require_stored
from marketplace.listings.events.lifecycle import Access, AccessChanged, ScanBegun, VersionImported
from marketplace.listings.events.listing import ListingCreated, ModelLicence, StoredFile, VersionPublished
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.lifecycle.decisions import Right, require_open, require_right
from marketplace.listings.lifecycle_state import evolve_lifecycle
from marketplace.listings.texts import seal
from marketplace.texts.free_text import FreeText

SCAN = "w-matrix.scan"  # the kind of the job that scans a version's file


@dataclass(frozen=True, slots=True)
class Declared:
    """What a seller says of a version. A figure that he does not state is None."""

    version: str
    epsilon: float
    test_samples: int
    cosine_similarity: float | None = None
    euclidean_distance: float | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a seller says of a listing; the models by any of their names."""

    title: str
    description: str
    source_model: str
    target_model: str
    price: Money
    tags: tuple[str, ...]
    access: Access
    seller_statement: str | None = None  # by what right the seller offers it, in his own words


def open_listing(
    offer: Offer,
    published: VersionPublished,
    *,
    signature: str | None,
    by: By,
    imported: VersionImported | None = None,
) -> str:
    """List a seller's W-Matrix under a new id, which is returned; its first version is offered after a scan.

    `imported` says where it came from, if it came by its card. Raises ModelNotSupported, InvalidInput or Conflict.
    """
    assert by.agent is not None  # a seller is an agent
    created = ListingCreated(
        listing_id=str(uuid4()),
        title=FreeText(offer.title),
        description=FreeText(offer.description),
        source_model=offer.source_model,
        target_model=offer.target_model,
        seller=by.agent,
        price=offer.price,
        licences=(),  # the registry's
        tags=offer.tags,
        space=published.space,
        statement=None if offer.seller_statement is None else FreeText(offer.seller_statement),
    )
    list_w_matrix(created, published, access=offer.access, signature=signature, by=by, imported=imported)
    return created.listing_id


def list_w_matrix(
    created: ListingCreated,
    published: VersionPublished,
    *,
    access: Access,
    signature: str | None,
    by: By,
    imported: VersionImported | None = None,
) -> list[Recorded]:
    """Open a listing with its first version, and start the version's scan: all of it or nothing.

    Raises ModelNotSupported, InvalidInput or Conflict.
    """
    named = {side: get_model(getattr(created, side), require_active=True) for side in ("source_model", "target_model")}
    created = replace(
        created,
        source_model=named["source_model"].name,
        target_model=named["target_model"].name,
        licences=tuple(ModelLicence(row.name, row.licence_name, row.licence_url) for row in named.values()),
    )

    def decide(state: ListingState) -> Sequence[object]:
        opened = [*decide_create(state, created)]
        if access is not Access.PUBLIC:
            opened.append(AccessChanged(access))
        lifecycle = ft.reduce(evolve_lifecycle, opened, state.lifecycle)
        state = replace(state, created=created, lifecycle=lifecycle)
        return [*opened, *decide_submit(state, by.agent, published, signature=signature, imported=imported)]

    return _submit(created.listing_id, decide, published, by)


def publish_upload(
    listing_id: str,
    published: VersionPublished,
    *,
    signature: str | None,
    by: By,
    imported: VersionImported | None = None,
) -> list[Recorded]:
    """Publish a version of a listing that the agent may publish in, and start its scan: all of it or nothing.

    Raises NotFound, NotAllowed, InvalidInput, Conflict or VersionConflict.
    """
    return _submit(
        listing_id,
        lambda state: decide_submit(state, by.agent, published, signature=signature, imported=imported),
        published,
        by,
    )


def decide_submit(
    state: ListingState,
    agent: str | None,
    published: VersionPublished,
    *,
    signature: str | None,
    imported: VersionImported | None = None,
) -> Sequence[object]:
    """Add a seller's version, which waits for its scan; the same version again gives no event.

    Raises NotFound, NotAllowed, InvalidInput, Conflict, ListingIsQuarantined or ListingIsDelisted.
    """
    require_right(state, agent, Right.PUBLISH)
    require_open(state)
    if published.quality.basis is not Basis.DECLARED:
        raise InvalidInput(
            f"the figures of a seller are declared, not {published.quality.basis.value}", field="quality.basis"
        )
    assert agent is not None  # a seller is an agent
    events = decide_publish(state, published)
    if not events:
        return ()
    return [*events, ScanBegun(published.version, agent, signature), *filter(None, [imported])]


def published_from(file: StoredFile, declared: Declared, *, source_model: str, target_model: str) -> VersionPublished:
    """Return the version that a stored file is, with what its seller says of it; the models by any of their names.

    Raises InvalidInput, DimensionMismatch or TooLarge for a file that is no W-Matrix, or of another version or pair,
    ModelNotSupported for a model that is not active in the registry.
    """
    document = read_document(blobs.local_path(file.digest), max_bytes=settings.W_MATRIX_MAX_BYTES)
    said = {"version": declared.version}
    said |= {"source_model": get_model(source_model, require_active=True).name}
    said |= {"target_model": get_model(target_model, require_active=True).name}
    for name, due in said.items():
        if (came := getattr(document, name)) != due:
            raise InvalidInput(f"the {name} in the file is {came}, not {due}", field=name, came=came, expected=due)
    return VersionPublished(
        version=document.version,
        method=document.method.value,
        standard=document.standard,
        source_dimension=document.source_dimension,
        unified_dimension=document.unified_dimension,
        target_dimension=document.target_dimension,
        source_weights=document.source_weights,
        target_weights=document.target_weights,
        file=file,
        report=None,
        quality=_quality(declared, document),
        space=document.space,
    )


def _quality(declared: Declared, document: WMatrixDocument) -> Quality:
    """Return what the seller says, and what follows from it."""
    return Quality(
        basis=Basis.DECLARED,
        epsilon=declared.epsilon,
        information_retention=1 - declared.epsilon,  # so epsilon is defined where no target was run
        cosine_similarity=declared.cosine_similarity,
        euclidean_distance=declared.euclidean_distance,
        computational_cost=document.unified_dimension * (document.source_dimension + document.target_dimension),
        test_samples=declared.test_samples,
        documents=0,
    )


def _submit(
    listing_id: str, decide: Callable[[ListingState], Sequence[object]], published: VersionPublished, by: By
) -> list[Recorded]:
    require_stored(published.file, "file")

    def work() -> list[Recorded]:
        recorded = execute(
            LISTING,
            listing_id,
            lambda state: seal(listing_id, decide(state)),
            metadata=by.metadata,
            expected=by.expected,
        )
        if recorded:
            arguments = {"listing_id": listing_id, "version": published.version}
            start(SCAN, arguments=arguments, requested_by=by.metadata.actor, patient=True)
        return recorded

    return transact(work, conflicts=by.expected is None)
