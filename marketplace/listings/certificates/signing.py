"""Sign certificates after they are decided, and read what was signed.

A follower of the log signs each decision and records the envelope, which is then served for ever. Ed25519 is
deterministic: a decision that is signed twice gives the same envelope.
"""

from collections.abc import Sequence

from latentmas.events import store
from latentmas.events.commands import Aggregate, execute, load
from latentmas.events.followers import follow
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.card import SignedCertificate
from latentmas.protocol.dsse import IN_TOTO, sign_envelope
from latentmas.transparency import keys
from latentmas.transparency.disclosure import disclosed
from latentmas.transparency.events import Purpose
from marketplace.listings.aggregate import LISTING, ListingState
from marketplace.listings.certificates.statement import statement
from marketplace.listings.events.certification import VersionCertified
from marketplace.listings.events.signing import CertificateSigned
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.visibility import NOBODY, listed

FOLLOWER = "certificate signatures"
EVENTS_PER_PAGE = 100  # each may cost a millisecond, for which nobody else can write to SQLite


def evolve(state: CertificateSigned | None, recorded: Recorded) -> CertificateSigned | None:
    return recorded.data if isinstance(recorded.data, CertificateSigned) else state


CERTIFICATE: Aggregate[CertificateSigned | None] = Aggregate("certificate", None, evolve)


@disclosed("certificate.signed")
def _everybodys(event: Recorded) -> bool:
    """A private listing's certificates are of those who may see it."""
    return listed(Listing.objects.filter(id=event.data.listing_id), NOBODY).exists()


def sign_certificates(*, metadata: Metadata) -> int:
    """Sign the decisions that were recorded since the last time, and return how many events were read for that.

    Raises SigningKeyMissing or SigningKeyNotUsable; then the decisions wait.
    """

    def handle(events: list[Recorded]) -> None:
        for event in events:
            if isinstance(event.data, VersionCertified):
                _sign(_state_at(event), event.data, metadata=metadata)

    return follow(FOLLOWER, handle, batch=EVENTS_PER_PAGE)


def replace_signatures(key_id: str, *, metadata: Metadata) -> int:
    """Sign anew the certificates in force that a key has signed, such as a revoked one; return how many.

    Raises SigningKeyMissing or SigningKeyNotUsable.
    """
    replaced = 0
    for row in ListingVersion.objects.filter(tier__isnull=False, yanked_at__isnull=True).iterator():
        state, _ = load(CERTIFICATE, row.id)
        listing, _ = load(LISTING, row.listing_id)
        decision = listing.version(row.version).decision
        if state is not None and state.key_id == key_id and isinstance(decision, VersionCertified):
            _sign(listing, decision, metadata=metadata)
            replaced += 1
    return replaced


def decide_sign(state: CertificateSigned | None, signed: CertificateSigned) -> Sequence[object]:
    """Record the envelope of a decision, once a key."""
    same = state is not None and (state.issued_at, state.key_id) == (signed.issued_at, signed.key_id)
    return () if same else (signed,)


def signed_certificates(rows: Sequence[ListingVersion]) -> dict[str, SignedCertificate]:
    """Return the envelopes of the certificates in force by the versions' keys, in one query.

    Those that wait to be signed are absent.
    """
    issued = {CERTIFICATE.stream(row.id): (row.id, row.certified_at) for row in rows}
    found = {}
    for event in store.read_streams(list(issued)):  # of two signatures under one decision the later one stands
        identifier, certified_at = issued[event.stream]
        if event.data.issued_at == certified_at:
            found[identifier] = SignedCertificate(event.data.envelope, event.position)
    return found


def _state_at(event: Recorded) -> ListingState:
    """Return a listing's state after one of its events: a later measurement is not what that decision rests on."""
    state = LISTING.empty
    for recorded in store.read_stream(event.stream):
        if recorded.version <= event.version:
            state = LISTING.evolve(state, recorded)
    return state


def _sign(listing: ListingState, certified: VersionCertified, *, metadata: Metadata) -> None:
    assert listing.created is not None  # it has a version
    listing_id = listing.created.listing_id
    signer = keys.signer(Purpose.CERTIFICATE, metadata=metadata)
    payload = statement(listing.created, listing.version(certified.version), certified)
    signed = CertificateSigned(
        listing_id=listing_id,
        version=certified.version,
        issued_at=certified.issued_at,
        key_id=signer.key_id,
        envelope=sign_envelope(payload, payload_type=IN_TOTO, key=signer.key, key_id=signer.key_id),
    )
    execute(
        CERTIFICATE, f"{listing_id}/{certified.version}", lambda state: decide_sign(state, signed), metadata=metadata
    )
