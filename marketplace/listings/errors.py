"""Errors about a listing's version that the protocol does not define."""

from latentmas.protocol.errors import Conflict, NotFound


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


class CertificateRevokedError(NotFound):
    """A curator has voided the certificate; the record of it and of the reason stays (410 over HTTP)."""

    code = "CERTIFICATE_REVOKED"
    status = 410
    title = "The certificate was revoked"
    resolution = "Use another version, or one that has been measured and certified again."
