"""How a version would be aligned to another model: by which W-Matrix, and whether in the target's own tokens.

A quote and the delivery ask here, so that what was quoted is what is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import timezone

from kvcache.exchange.placement import TargetTokens
from latentmas import blobs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import TokenMode
from latentmas.registry.queries import get_model
from marketplace.artefacts.models import ArtefactVersion, Retokenised
from marketplace.artefacts.retokenising import memories_of, on_record
from marketplace.exchange.kv_cache import known_layers
from marketplace.exchange.kv_cache_inputs import tokens_from_file
from marketplace.listings.choosing.choice import best_for_cache
from marketplace.listings.models import ListingVersion
from marketplace.sales.goods import Delivery, Form, Kind


@dataclass(frozen=True, slots=True)
class Way:
    """The W-Matrix that aligns a version's memories, and what is on record of them in its target's tokens."""

    w_matrix: ListingVersion
    tried: Mapping[str, Retokenised]  # by the digest of the memory's file
    memories: int

    @property
    def mode(self) -> TokenMode | None:
        """What is known of the text when the memories are handed over; None where that is not the same for all."""
        known = sum(each.known for each in self.tried.values())
        if 0 < known < self.memories:
            return None
        return TokenMode.TOKENS_KNOWN if known else TokenMode.SOURCE_TOKENS

    def tokens_of(self, memory: str) -> TargetTokens | str:
        """Return a memory in the target's tokens, or the reason why its own tokens are kept. Raises NotFound."""
        row, target = self.tried.get(memory), self.w_matrix.target_model
        if row is None:
            return f"its text has not been read in the tokens of {target} here: it waits, or the weights are absent"
        if row.file_digest is None or row.layers is None:
            return row.reason
        if (wanted := known_layers(self.w_matrix)) > row.layers:
            return f"the W-Matrix takes {wanted} first layers of {target}, and {row.layers} are on record"
        found = tokens_from_file(blobs.get_bytes(row.file_digest))
        assert found is not None
        return found


def way_of(version: ArtefactVersion, kind: Kind, delivery: Delivery, *, tokens: int) -> Way | None:
    """Return how a delivery of at most so many tokens is aligned; None where it is not.

    Raises InvalidInput, WMatrixNotFound or ModelNotSupported where no certified W-Matrix leads to the target model.
    """
    if delivery.form is not Form.ALIGNED:
        return None
    if delivery.target_model is None:
        raise InvalidInput("an aligned delivery needs a target_model", field="delivery.target_model")
    target = get_model(delivery.target_model).name
    memories = memories_of(version, kind)
    rows = list(on_record(memories, target))
    for weights in sorted({row.target_weights for row in rows if row.known}):
        known = {row.memory: row for row in rows if row.known and row.target_weights == weights}
        if len(known) == len(set(memories)):
            longest = max(row.tokens or 0 for row in known.values())
            w_matrix = _best(version, target, longest)
            if w_matrix.target_weights == weights:
                return Way(w_matrix, known, len(known))
    w_matrix = _best(version, target, version.contents["next_position"] or tokens)
    tried = {row.memory: row for row in rows if row.target_weights == w_matrix.target_weights}
    return Way(w_matrix, tried, len(set(memories)))


def _best(version: ArtefactVersion, target: str, tokens: int) -> ListingVersion:
    return best_for_cache(
        source_model=version.contents["model"],
        target_model=target,
        weights=version.contents["weights"],
        at=timezone.now(),
        require_certificate=True,
        context_tokens=tokens,
    )
