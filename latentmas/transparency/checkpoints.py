"""Seal the log: sign checkpoints of its tree, and keep what witnesses sign under them."""

import logging

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from latentmas.events.errors import LogCorrupted
from latentmas.events.types import Metadata
from latentmas.protocol.errors import NotFound
from latentmas.protocol.notes import checkpoint_text, signature_line, signed
from latentmas.protocol.verification.notes import (
    NoteSignature,
    VerifierKey,
    read_note,
    read_tree_head,
    timestamp_of,
    verified,
)
from latentmas.transparency import keys, tree
from latentmas.transparency.errors import CheckpointForked, NotSealed, WitnessNotTrusted
from latentmas.transparency.events import Purpose
from latentmas.transparency.models import Checkpoint, Cosignature

logger = logging.getLogger(__name__)


def seal(*, metadata: Metadata) -> Checkpoint:
    """Bring the tree to the end of the log and sign its root; the last checkpoint where nothing was added since.

    Raises SigningKeyMissing, SigningKeyNotUsable, or LogCorrupted where the last checkpoint is of another tree.
    """
    signer = keys.signer(Purpose.LOG, metadata=metadata)
    tree.grow()
    # In this order: another process may seal a longer log at any moment.
    last = Checkpoint.objects.first()
    size = tree.size()
    if last is not None:
        # What contradicts a checkpoint that somebody may hold must never be signed.
        if last.size > size or tree.root(last.size) != bytes(last.root):
            raise LogCorrupted(f"the checkpoint of {last.size} events is not of this log", resolution="Run verify_log.")
        if last.size == size:
            return last
    root = tree.root(size)
    text = checkpoint_text(settings.LOG_ORIGIN, size=size, root=root)
    note = signed(text, name=settings.LOG_ORIGIN, key=signer.key)
    # Two processes that seal the same tree sign the same bytes.
    Checkpoint.objects.bulk_create(
        [Checkpoint(size=size, root=root, note=note, sealed_at=timezone.now())], ignore_conflicts=True
    )
    return Checkpoint.objects.get(size=size)


def latest() -> Checkpoint:
    """Return the last checkpoint. Raises NotSealed before the first."""
    last = Checkpoint.objects.prefetch_related("cosignatures").first()
    if last is None:
        raise NotSealed("the log has no checkpoint yet")
    return last


def cosigned_note(checkpoint: Checkpoint) -> str:
    """Return the checkpoint as a note with the log's signature and those of its witnesses."""
    return checkpoint.note + "".join(each.line for each in checkpoint.cosignatures.all())


def accept_cosignatures(note: str) -> Checkpoint:
    """Keep the signatures of trusted witnesses under one of our checkpoints, and return it.

    Raises VerificationFailed, WitnessNotTrusted, NotFound for a checkpoint that was never made, or CheckpointForked.
    """
    cosigned = read_note(note)
    head = read_tree_head(cosigned.text)
    found = verified(cosigned, settings.LOG_WITNESSES)
    if not found:
        raise WitnessNotTrusted("the note carries no signature of a witness that is trusted here")
    ours = Checkpoint.objects.filter(size=head.size).first() if head.origin == settings.LOG_ORIGIN else None
    if ours is None:
        raise NotFound(f"there is no checkpoint of {head.size} events of {head.origin[:200]!r} here")
    if read_note(ours.note).text != cosigned.text:
        names = sorted(key.name for key in found)
        logger.error("%s signed another tree of %d events than this log has", ", ".join(names), head.size)
        raise CheckpointForked(
            f"{', '.join(names)} signed another tree of {head.size} events", size=head.size, ours=bytes(ours.root).hex()
        )
    with transaction.atomic():
        for key, each in found.items():
            _keep(ours, key, each)
    return ours


def _keep(checkpoint: Checkpoint, key: VerifierKey, cosignature: NoteSignature) -> None:
    """Keep the newest cosignature of a witness: an older one can be sent again by anybody."""
    line = signature_line(cosignature.name, cosignature.key_id + cosignature.signature)
    values = {"signed_at": timestamp_of(cosignature), "line": line}
    kept, created = Cosignature.objects.get_or_create(
        checkpoint=checkpoint, witness=key.name, key_id=key.key_id.hex(), defaults=values
    )
    if not created:
        Cosignature.objects.filter(pk=kept.pk, signed_at__lt=values["signed_at"]).update(**values)
