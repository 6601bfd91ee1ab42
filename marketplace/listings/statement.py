"""A certificate as an in-toto statement about the W-Matrix file. Pure."""

from latentmas.protocol.canonical import canonical, plain
from marketplace.listings.events import ListingCreated, VersionCertified, VersionPublished

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://latentmas.org/w-matrix-certificate/v1"


def statement(listing: ListingCreated, published: VersionPublished, certified: VersionCertified) -> bytes:
    """Return the statement as canonical JSON: its subject is the file, its predicate the certificate.

    Decimals are text. What is said comes from events alone, so that the same decision gives the same bytes.
    """
    quality = published.quality
    suite = quality.suite
    predicate = {
        "listing_id": listing.listing_id,
        "version": published.version,
        "space": published.space,
        "source": {"model": listing.source_model, "weights": published.source_weights},
        "target": {"model": listing.target_model, "weights": published.target_weights},
        "basis": quality.basis,
        "tier": certified.tier,
        "grade": certified.grade,
        "epsilon": certified.epsilon,
        "scope": certified.scope,
        "retention": None if quality.retention is None else quality.retention.aligned,
        "retrieval": None if quality.retrieval is None else quality.retrieval.top1,
        "suite": None if suite is None else {"name": suite.name, "digest": suite.digest},
        "corpus": quality.corpus,
        "report": published.report.digest,
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
