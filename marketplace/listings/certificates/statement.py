"""A certificate as an in-toto statement about the W-Matrix file. Pure."""

from latentmas.protocol.canonical import canonical, plain
from marketplace.listings.aggregate import VersionState
from marketplace.listings.events.certification import VersionCertified
from marketplace.listings.events.listing import ListingCreated

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://latentmas.org/w-matrix-certificate/v1"


def statement(listing: ListingCreated, version: VersionState, certified: VersionCertified) -> bytes:
    """Return the statement as canonical JSON: its subject is the file, its predicate the certificate.

    Decimals are text. What is said comes from events alone, so that the same decision gives the same bytes: those of
    the measurement that was judged. Certificates from before measurements were events rest on what was published.
    """
    published, measured = version.published, version.judged
    rests_on = published if measured is None else measured
    quality, report = rests_on.quality, rests_on.report
    suite = quality.suite
    predicate = {
        "listing_id": listing.listing_id,
        "version": published.version,
        "space": published.space,
        "source": {"model": listing.source_model, "weights": rests_on.source_weights},
        "target": {"model": listing.target_model, "weights": rests_on.target_weights},
        "basis": quality.basis,
        "tier": certified.tier,
        "grade": certified.grade,
        "epsilon": certified.epsilon,
        "scope": certified.scope,
        "retention": None if quality.retention is None else quality.retention.aligned,
        "retrieval": None if quality.retrieval is None else quality.retrieval.top1,
        "suite": None if suite is None else {"name": suite.name, "digest": suite.digest},
        "corpus": quality.corpus,
        "report": None if report is None else report.digest,
        "instrument": None if measured is None else measured.instrument,
        "private_cells": None if measured is None else measured.private,
        "issued_at": certified.issued_at,
        "expires_at": certified.expires_at,
    }
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {
                "name": f"{listing.source_model}--{listing.target_model}--{published.version}.safetensors",
                "digest": {"sha256": published.file.digest.removeprefix("sha256:")},
            }
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    return canonical(plain(document))
