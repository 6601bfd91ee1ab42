"""What a measurement commits to while the texts that were drawn for it are private."""

from factory.models import PrivateDraw
from latentmas.protocol.commitments import commitment


def commitment_of(drawn: PrivateDraw) -> str:
    """Return `sha256:<hex>` over the salted digests of seed and texts."""
    assert drawn.texts is not None
    texts = {register: [commitment(text, salt=drawn.salt) for text in texts] for register, texts in drawn.texts.items()}
    return commitment({"seed": drawn.seed, "texts": texts}, salt=drawn.salt)
