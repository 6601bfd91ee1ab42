"""Read the text of a memory in the tokens of another model, from nothing but the token ids in the memory's file.

1. The source's tokenizer decodes the ids. They are taken for the text only where it makes the same ids of that text,
   with the same spans where the file has some: then the file's tokens and the text are two spellings of one thing.
2. The target's tokenizer reads the text, and the target's first layers are computed.

That the memory itself is of these tokens is not looked at: its measured retention shows that, and the exchange's
quality gate. No error quotes anything of the text.
"""

import hashlib
from dataclasses import replace

import numpy as np

from factory.runners.model import Encoding, RunningModel
from factory.runners.tokens import target_tokens, with_bos
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.target_file import arrays_of, write_target_tokens
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import SnapshotFrame
from latentmas.protocol.tensors import Array
from marketplace.artefacts.retokenising import TokensMade

FLOAT16_LIMIT = float(np.finfo(np.float16).max)


def tokens_made(frame: SnapshotFrame, *, source: RunningModel, target: RunningModel, layers: int) -> TokensMade:
    """Return a memory's text in the target's tokens as a file, with so many of the target's first layers.

    Raises InvalidInput where the file's ids are not those of one text, or ModelNotSupported where the target's first
    layers cannot be computed.
    """
    text, encoding = text_of(frame, source)
    tokens = replace(target_tokens(target, text, layers=layers), source_spans=np.array(encoding.spans))
    return TokensMade(write_target_tokens(arrays_of(_kept(tokens, target.bos))), len(tokens.spans), layers)


def text_of(frame: SnapshotFrame, model: RunningModel) -> tuple[str, Encoding]:
    """Return the text that a memory's ids are of, and its tokens without BOS. Raises InvalidInput for ids of none."""
    ids = model.ids_in(frame)
    first = int(ids[0] == model.bos)
    text: str = model.tokenizer.decode(ids[first:], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    encoding = model.encode(text)
    if not encoding.ids or list(encoding.ids) != ids[first:]:
        raise InvalidInput(f"{model.name} reads the text of the file's token ids in other tokens", field="token_ids")
    if frame.offsets is not None and not np.array_equal(frame.offsets[first:], encoding.spans):
        raise InvalidInput("the file's offsets are not those of the text of its token ids", field="offsets")
    if frame.context not in (None, f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"):
        raise InvalidInput("the file names another context than the text of its token ids", field="context")
    return text, encoding


def _kept(tokens: TargetTokens, bos: int) -> TargetTokens:
    """Return the tokens as they are kept: BOS in front, first layers in half precision where their range allows it."""
    whole = replace(with_bos(tokens, bos), source_spans=tokens.source_spans, states=None)
    layer: Array | None = whole.first_layer
    if layer is None or float(np.abs(layer).max()) > FLOAT16_LIMIT:
        return whole
    return replace(whole, first_layer=layer.astype(np.float16))
