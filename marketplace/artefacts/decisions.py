"""What may happen to an artefact: state + command -> events. Pure.

`agent` is who asks for the change. None is a curator, the operator or a job: whoever calls has checked that permission.
"""

from collections.abc import Sequence
from dataclasses import replace

from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from latentmas.protocol.versions import parse_version
from marketplace.artefacts.aggregate import ArtefactState
from marketplace.artefacts.errors import ArtefactIsQuarantined, ArtefactWithdrawnError, NotYourArtefact, RightsNotStated
from marketplace.artefacts.events import (
    ArtefactListed,
    ArtefactQuarantined,
    ArtefactReleased,
    ArtefactWithdrawn,
    PriceChanged,
    RightsStated,
    Segment,
    SegmentAppended,
    Terms,
    VersionPublished,
    VersionScreened,
)
from marketplace.listings.validation import MAX_PRICE, check_file, check_price
from marketplace.sales.goods import Kind
from marketplace.texts.checks import (
    DESCRIPTION_CHARACTERS,
    TITLE_CHARACTERS,
    check_length,
    check_reason,
    check_text,
)
from marketplace.texts.free_text import FreeText

Events = Sequence[object]
MAX_DISCOUNT = 50  # per cent
STATEMENT_CHARACTERS = 2000
FINDINGS, FINDING_CHARACTERS = 20, 300
SEGMENTS = 200


def decide_list(state: ArtefactState, listed: ArtefactListed) -> Events:
    """Open the artefact. Raises InvalidInput, or Conflict where it is listed already."""
    if state.listed is not None:
        raise Conflict(f"the artefact {listed.artefact_id} exists already")
    if listed.kind is Kind.W_MATRIX:
        raise InvalidInput("a W-Matrix is listed with POST /api/w-matrices", field="kind")
    check_text(listed.title.plain or "", "title", TITLE_CHARACTERS)
    check_length(listed.description.plain or "", "description", DESCRIPTION_CHARACTERS)
    check_terms(listed.terms)
    return (listed,)


def decide_publish(state: ArtefactState, agent: str | None, *, published: VersionPublished, rights: FreeText) -> Events:
    """Add a version above the last one, with the statement of its rights; the same version again gives no event.

    Raises NotFound, NotYourArtefact, ArtefactIsQuarantined, ArtefactWithdrawnError, InvalidInput or Conflict.
    """
    listed = require_open(state, agent)
    wanted = parse_version(published.version)
    check_file(published.file, "file")
    if published.contents.model != listed.model:
        raise InvalidInput(
            f"the file is of {published.contents.model}, the artefact of {listed.model}",
            resolution="List it as an artefact of its own.",
            field="memory",
        )
    if any(each.published == published for each in state.versions):
        return ()
    if same := [each.published.version for each in state.versions if each.published.file == published.file]:
        raise Conflict(f"version {same[0]} has the same file", resolution="A new version is a new file.")
    if state.newest is not None and wanted <= (last := parse_version(state.newest.version)):
        raise Conflict(
            f"version {wanted} is not above {last}, the last one",
            resolution=f"A file never changes: publish another one above {last}, such as "
            f"{replace(last, patch=last.patch + 1)}.",
        )
    return (published, RightsStated(published.version, rights, invertible=True))


def decide_append(state: ArtefactState, *, version: str, segments: Sequence[Segment]) -> Events:
    """Add segments to a long-term memory, from a version on. Raises InvalidInput or Conflict."""
    if len(state.segments) + len(segments) > SEGMENTS:
        raise Conflict(f"a long-term memory has at most {SEGMENTS} segments", resolution="List another one.")
    known = list(state.segments)
    for segment in segments:
        assert segment.place == len(known)  # whoever wrote the file has counted them
        last = known[-1].session if known else 0
        if segment.session not in (last, last + 1) or segment.session < 1:
            raise InvalidInput(
                f"session {segment.session} cannot follow session {last}: the same, or the next one",
                field="session",
            )
        if any(each.file.digest == segment.file.digest for each in known):
            raise Conflict("the long-term memory holds that segment already")
        known.append(segment)
    return [SegmentAppended(version, segment) for segment in segments]


def decide_screened(state: ArtefactState, *, screened: VersionScreened) -> Events:
    """Record what a screening found; the same again gives no event. Raises NotFound or InvalidInput."""
    current = state.version(screened.version)
    if screened.uniqueness is not None and not 0 <= screened.uniqueness <= 1:
        raise InvalidInput(f"the uniqueness is {screened.uniqueness}; it lies between 0 and 1", field="uniqueness")
    retention = screened.retention
    if retention is not None and not retention.low <= retention.high:
        raise InvalidInput("the interval's lower end is above its upper end", field="retention")
    if len(screened.findings) > FINDINGS:
        raise InvalidInput(f"a screening has at most {FINDINGS} findings", field="findings")
    for finding in screened.findings:
        check_text(finding, "findings", FINDING_CHARACTERS)
    return () if current.screened == screened else (screened,)


def decide_price(state: ArtefactState, agent: str | None, *, terms: Terms) -> Events:
    """Change the terms of later sales. Raises what `require_open` does, or InvalidInput."""
    require_open(state, agent)
    check_terms(terms)
    if state.terms is not None and terms.price.currency != state.terms.price.currency:
        raise InvalidInput(f"the currency stays {state.terms.price.currency}", field="price")
    return () if terms == state.terms else (PriceChanged(terms),)


def decide_withdraw(state: ArtefactState, agent: str | None, *, reason: str) -> Events:
    """End the offer for good. Raises what `require_open` does, or InvalidInput."""
    require_open(state, agent)
    return (ArtefactWithdrawn(check_reason(reason)),)


def decide_quarantine(state: ArtefactState, agent: None, *, reason: str) -> Events:
    """Stop the artefact. Raises NotFound, InvalidInput or Conflict."""
    require_known(state, agent)
    if state.quarantined:
        raise Conflict("the artefact is in quarantine already")
    return (ArtefactQuarantined(check_reason(reason)),)


def decide_release(state: ArtefactState, agent: None, *, reason: str) -> Events:
    """End the quarantine. Raises NotFound, InvalidInput or Conflict."""
    require_known(state, agent)
    if not state.quarantined:
        raise Conflict("the artefact is not in quarantine")
    return (ArtefactReleased(check_reason(reason)),)


def require_known(state: ArtefactState, agent: str | None) -> ArtefactListed:
    """Return what was listed. Raises NotFound, or NotYourArtefact."""
    if state.listed is None:
        raise NotFound("there is no such artefact")
    if agent not in (None, state.listed.seller):
        raise NotYourArtefact("only the agent that sells it may change it")
    return state.listed


def require_open(state: ArtefactState, agent: str | None) -> ArtefactListed:
    """Return what was listed. Raises NotFound, NotYourArtefact, ArtefactIsQuarantined or ArtefactWithdrawnError."""
    listed = require_known(state, agent)
    if state.quarantined:
        raise ArtefactIsQuarantined("the artefact is in quarantine; nothing of it changes until a curator releases it")
    if state.withdrawn:
        raise ArtefactWithdrawnError("the artefact was withdrawn, for good")
    return listed


def check_rights(statement: str, *, invertible: bool) -> FreeText:
    """Return the rights statement of a seller who agrees. Raises RightsNotStated or InvalidInput."""
    if invertible is not True:
        raise RightsNotStated(
            "whoever buys a memory can win back the text that the model has read; `invertible` must be true",
            field="invertible",
        )
    check_text(statement, "rights", STATEMENT_CHARACTERS)
    return FreeText(statement.strip())


def check_terms(terms: Terms) -> None:
    """Refuse a price, floor or discount outside its bounds."""
    check_price(terms.price)
    if not 0 <= terms.discount <= MAX_DISCOUNT:
        raise InvalidInput(
            f"the discount is {terms.discount} %; it lies between 0 and {MAX_DISCOUNT}", field="discount"
        )
    if terms.floor is not None and not 0 <= terms.floor <= MAX_PRICE:
        raise InvalidInput(f"the floor is {terms.floor}; it lies between 0 and {MAX_PRICE}", field="floor")
