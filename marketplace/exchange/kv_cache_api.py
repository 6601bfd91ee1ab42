"""`kv-cache/align` (specification, appendix C): map a KV-cache of one model into another's, or refuse with reasons."""

import json
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import PermissionDenied
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from kvcache.exchange.placement import TargetTokens
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import write_snapshot
from latentmas.rest import answers
from latentmas.rest.endpoints import computing
from latentmas.rest.parameters import read_body
from latentmas.rest.permissions import ReadMemories
from latentmas.rest.problems import with_headers
from latentmas.rest.uploads import is_file, read_file
from marketplace.exchange import kv_cache_inputs as inputs
from marketplace.exchange import outputs
from marketplace.exchange.kv_cache import Handed, KVCacheOrder, align
from marketplace.exchange.kv_cache_inputs import from_arrays, from_file, target_tokens, tokens_from_file
from marketplace.listings.visibility import viewer_of
from marketplace.memories.queries import file_of, get_memory
from marketplace.sales.paying import PAYMENT, paid


@computing(
    "latentmas_kv_cache_align",
    json=inputs.AlignInput,
    query=inputs.AlignOptions,
    answer=outputs.AlignmentOutput,
    renderers=(JSONRenderer, answers.SafetensorsRenderer),
    headers=PAYMENT,
    statuses=(402, 410),  # a version may have a price, and one that is named may have been withdrawn
)
def align_kv_cache(request: Request) -> HttpResponseBase:
    """Align a memory to another model: arrays or a stored memory's id as JSON, a raw snapshot or .kvz file as body.

    With a stored memory's id in the query, the file in the body holds the target's tokens.
    """
    now = timezone.now()
    options = read_body(request, json=inputs.AlignInput, file=inputs.AlignOptions)
    order = KVCacheOrder(
        target_model=options["target_model"],
        policy=inputs.policy_of(options),
        listing=options.get("w_matrix_listing"),
        version=options.get("w_matrix_version"),
        target_weights=options.get("target_weights"),
        reading=inputs.reading_of(options),
        viewer=viewer_of(request),
    )
    handed = _handed(request, options)
    done, headers = paid(request, lambda: align(handed, order, at=now))
    # Through JSON, so that the header beside a file formats times as a JSON answer does.
    document = json.loads(json.dumps(outputs.kv_cache_alignment(done, at=now), cls=DjangoJSONEncoder))
    snapshot = done.exchanged.snapshot
    if answers.wants_file(request):
        name = f"{done.w_matrix.target_model}.safetensors"
        return with_headers(answers.file_answer(write_snapshot(snapshot), name=name, result=document), headers)
    document |= {"aligned_kv_cache": outputs.kv_cache_document(snapshot)}
    return with_headers(answers.answer(request, document), headers)


def _handed(request: Request, options: dict[str, Any]) -> Handed:
    source_model = options.get("source_model")
    if is_file(request):
        data = read_file(request, limit=settings.KV_CACHE_MAX_BYTES)
        if "memory" not in options:
            return from_file(data, source_model=source_model)
        return _stored(request, options, tokens_from_file(data))
    if ("kv_cache" in options) == ("memory" in options):
        raise InvalidInput("give either kv_cache or the id of a stored memory", field="kv_cache")
    tokens = target_tokens(options)
    if "memory" in options:
        return _stored(request, options, tokens)
    handed = from_arrays(options["kv_cache"], source_model=source_model)
    return Handed(handed.snapshot, handed.source, tokens)


def _stored(request: Request, options: dict[str, Any], tokens: TargetTokens | None) -> Handed:
    """Return one of the account's memories, with the target's tokens that came along or lie in its file."""
    permission = ReadMemories()
    if not permission.has_permission(request, None):
        raise PermissionDenied(permission.message)
    row = get_memory(cast(User, request.user), memory_id=options["memory"])
    handed = from_file(file_of(row), source_model=options.get("source_model"))
    return Handed(handed.snapshot, handed.source, tokens or handed.target_tokens)
