"""What can go wrong where a buyer makes a claim; nothing is then recorded, and no money moves."""

from latentmas.protocol.errors import Conflict, InvalidInput, LatentMASError

PURCHASE = "GET /api/purchases/{id} shows the purchase."


class NotTheParty(LatentMASError):
    """The step belongs to the other side of the sale."""

    code = "PERMISSION_DENIED"
    status = 403
    title = "This is not allowed"


class DisputeExists(Conflict):
    """A sale has one open dispute at most, and none after a curator has decided."""

    code = "DISPUTE_EXISTS"
    title = "The purchase is or was in dispute"
    resolution = "GET /api/purchases/{id}/dispute shows it."


class DisputeClosed(Conflict):
    code = "DISPUTE_CLOSED"
    title = "The dispute is over"


class DisputeTooLate(Conflict):
    """Disputes are opened within a time of the purchase."""

    code = "DISPUTE_TOO_LATE"
    title = "The time for a dispute is over"
    resolution = "Ask the seller, who may refund the purchase at any time."


class NothingCharged(Conflict):
    """There is no money to ask for: it was free, or all of it was given back."""

    code = "NOTHING_CHARGED"
    title = "There is nothing to give back"
    resolution = PURCHASE


class AcceptanceTooLate(Conflict):
    """The texts are named before the file is delivered, so that nobody names those on which it fails."""

    code = "ACCEPTANCE_TOO_LATE"
    title = "The file was delivered"
    resolution = "Name the texts with a quote that was not used yet; about this purchase, open a dispute."


class AcceptanceExists(Conflict):
    """A purchase is measured once."""

    code = "ACCEPTANCE_EXISTS"
    title = "The texts for this quote were named"
    resolution = "GET /api/acceptances/{id} shows what became of them; for other texts, ask for another quote."


class AcceptancesWaiting(Conflict):
    code = "ACCEPTANCES_WAITING"
    title = "Too many acceptances wait for their purchases"
    resolution = "Use the quotes, or wait until they expire."


class AcceptanceNotOffered(InvalidInput):
    """Only what a certificate promises of texts can be measured on texts."""

    code = "ACCEPTANCE_NOT_OFFERED"
    title = "There is no acceptance for this"
    resolution = "Choose a certified W-Matrix between models that hand over KV-caches."


class TextsTooFew(InvalidInput):
    """Of the texts that were named too few can be measured on."""

    code = "ACCEPTANCE_TEXTS_TOO_FEW"
    title = "Too few of the texts count"
    resolution = "Open a dispute, if the file does not do what was promised."
