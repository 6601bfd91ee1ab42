"""Errors about a listing's version that the protocol does not define."""

from latentmas.protocol.errors import Conflict, InvalidInput, LatentMASError, NotFound


class VersionYankedError(Conflict):
    """The version was withdrawn by its seller or a curator; the record of it stays (410 over HTTP)."""

    code = "VERSION_YANKED"
    status = 410
    title = "The version was withdrawn"
    resolution = "Use another version of the listing."


class NotCertified(NotFound):
    """No decision about a certificate has been made yet, or the certificate has expired."""

    code = "NOT_CERTIFIED"
    title = "No valid certificate"
    resolution = "Certify the version again, or use one that carries a valid certificate."


class NotAllowed(LatentMASError):
    """The agent has no such right in the listing."""

    code = "PERMISSION_DENIED"
    status = 403
    title = "This is not allowed"


class AccessRequired(NotAllowed):
    """The listing is gated, and its files are for those whom the seller has granted them."""

    code = "ACCESS_REQUIRED"
    title = "The seller grants access to this"
    resolution = "Ask for it: POST /api/w-matrices/{id}/access-requests."


class ListingIsQuarantined(NotAllowed):
    """A curator has stopped the listing; that may end."""

    code = "LISTING_QUARANTINED"
    title = "The listing is in quarantine"
    resolution = "Wait for its release, or use another listing."


class ListingIsDelisted(Conflict):
    """The seller has ended the offer for good."""

    code = "LISTING_DELISTED"
    status = 410
    title = "The listing was delisted"
    resolution = "Use another listing."


class TransferNotOffered(NotFound):
    """The listing is not offered to the agent that would accept or decline it, or to nobody."""

    code = "TRANSFER_NOT_OFFERED"
    title = "The listing is not offered"
    resolution = "GET /api/transfers names the listings that are offered to your agent."


class CardAltered(InvalidInput):
    """A card says otherwise than the file it is of, or than the certificate in it; `field` names where."""

    code = "CARD_ALTERED"
    title = "The card does not fit"
    resolution = "Send the card as its registry serves it, with the file that it is of."


class VersionNotOffered(NotFound):
    """The version's file has not passed its scan."""

    code = "VERSION_NOT_OFFERED"
    title = "The version is not on offer"
    resolution = "GET /api/w-matrices/{id} names the versions on offer."


class CertificateRevokedError(NotFound):
    """A curator has voided the certificate; the record of it and of the reason stays (410 over HTTP)."""

    code = "CERTIFICATE_REVOKED"
    status = 410
    title = "The certificate was revoked"
    resolution = "Use another version, or one that has been measured and certified again."
