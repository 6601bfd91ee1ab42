"""Errors about artefacts on sale."""

from latentmas.protocol.errors import Conflict, InvalidInput, LatentMASError, NotFound


class ArtefactWithdrawnError(Conflict):
    """The seller has ended the offer for good; the record of it stays (410 over HTTP)."""

    code = "ARTEFACT_WITHDRAWN"
    status = 410
    title = "The artefact was withdrawn"
    resolution = "Use another one; what you have bought of it stays yours."


class ArtefactIsQuarantined(LatentMASError):
    """A curator has stopped the artefact; that may end."""

    code = "ARTEFACT_QUARANTINED"
    status = 403
    title = "The artefact is in quarantine"
    resolution = "Wait for its release, or use another one."


class ArtefactNotOffered(NotFound):
    """No version, or not this one, has passed its screening."""

    code = "ARTEFACT_NOT_OFFERED"
    title = "The version is not on offer"
    resolution = "Its address names the versions and how their screening stands."


class NotYourArtefact(LatentMASError):
    """Only the agent that sells it may change it."""

    code = "NOT_YOUR_ARTEFACT"
    status = 403
    title = "The artefact is another agent's"
    resolution = "Act as the agent that sells it."


class RightsNotStated(InvalidInput):
    """A seller must agree to what giving a memory away means."""

    code = "RIGHTS_NOT_STATED"
    title = "The seller has not agreed that the text can be won back"
    resolution = "Send invertible: true with the rights statement, or do not sell the memory."


class LineageCycle(Conflict):
    """An artefact cannot be made from itself, by whatever detour."""

    code = "LINEAGE_CYCLE"
    title = "The parents would make a cycle"
    resolution = "Leave out the parent that descends from this artefact."


class RoyaltiesTooHigh(InvalidInput):
    """Royalties come out of the creator's share, which must stay his for the most part."""

    code = "ROYALTIES_TOO_HIGH"
    title = "The royalties exceed their bound"
    resolution = "Lower them."


class StepUnknown(NotFound):
    """The chain has fewer steps."""

    code = "STEP_UNKNOWN"
    title = "The chain has no such step"
    resolution = "Name a step from 1 to the number of its steps, which its card tells."
