"""Streams over REST: begin, put chunk after chunk, finish."""

from typing import Any

from django.conf import settings
from django.http import FileResponse
from django.http.response import HttpResponseBase
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from kvcache.server import catalogue_outputs, inputs, outputs, payloads, stream_results, streams
from kvcache.server.models import StreamSession
from kvcache.server.payloads import Given
from kvcache.server.queries import get_adapter
from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.errors import InvalidInput
from latentmas.rest import answers, parameters
from latentmas.rest.endpoints import computing
from latentmas.rest.parameters import object_in, read
from latentmas.rest.permissions import requester
from latentmas.rest.uploads import is_file, read_file

MESSAGES_TYPE = "application/octet-stream"


class MessagesRenderer(answers.SafetensorsRenderer):
    """Makes the messages' media type selectable by `Accept`; the view builds that response itself."""

    media_type = MESSAGES_TYPE
    format = "messages"


ALL: tuple[type[BaseRenderer], ...] = (JSONRenderer, answers.SafetensorsRenderer, MessagesRenderer)


@computing(
    "kv_cache_stream_open",
    json=inputs.StreamInput,
    answer=catalogue_outputs.StreamOutput,
    status=201,
    files=False,
    headers=(PARAMETER,),
)
@idempotent()
def streams_view(request: Request) -> Response:
    """Begin a stream; it is yours for some minutes, until it is finished."""
    options = read(object_in(request, aliases=inputs.ALIASES), inputs.StreamInput)
    parameters.read_query(request, parameters.NothingInput)
    model = options.pop("model_name")
    stream = streams.open_stream(requester(request), model=model, options=options)
    return answers.answer(request, _shown(stream), status=201)


@computing("kv_cache_stream_chunk", json=inputs.ArraysInput, answer=catalogue_outputs.StreamOutput, method="PUT")
def chunk(request: Request, stream_id: str, number: int) -> Response:
    """Put the next chunk, counted from 0: its tokens go on where the last one ended."""
    stream = streams.get_stream(requester(request), stream_id)
    streams.require_next(stream, number)
    options = parameters.read_body(
        request, json=inputs.ArraysInput, file=parameters.NothingInput, aliases=inputs.ALIASES
    )
    return answers.answer(
        request, _shown(streams.put_chunk(stream, number=number, given=_given(request, stream, options)))
    )


@computing(
    "kv_cache_stream_finish",
    json=None,
    answer=outputs.CompressionOutput,
    files=False,
    renderers=ALL,
    headers=(PARAMETER,),
)
@idempotent(keep=False, atomic=False)
def finish(request: Request, stream_id: str) -> HttpResponseBase:
    """End a stream: `application/octet-stream` gets its messages, safetensors and JSON one .kvz file of all chunks."""
    parameters.read_query(request, parameters.NothingInput)
    stream = streams.get_stream(requester(request), stream_id)
    response = _messages(stream) if request.accepted_renderer.media_type == MESSAGES_TYPE else _file(request, stream)
    streams.close(stream)  # only now: what could not be answered can be asked for again
    return response


def _messages(stream: StreamSession) -> HttpResponseBase:
    ended = stream_results.finish_as_messages(stream)
    response = FileResponse(ended.file, content_type=MESSAGES_TYPE)
    metrics = outputs.metrics_document(ended.metrics, ended.clock)
    response[answers.RESULT_HEADER] = answers.header_of({"model": stream.model, "metrics": metrics})
    return response


def _file(request: Request, stream: StreamSession) -> HttpResponseBase:
    return outputs.compression_answer(request, stream_results.finish_as_file(stream), get_adapter(stream.model))


def _given(request: Request, stream: StreamSession, options: dict[str, Any]) -> Given:
    adapter = get_adapter(stream.model)
    if is_file(request):
        data = read_file(request, limit=settings.KV_CACHE_MAX_BYTES - stream.size)
        return payloads.fitted(payloads.from_file(data), adapter)
    if options["rope"] != stream.settings["rope"]:
        raise InvalidInput(
            f"rope is {options['rope']!r}; this stream was begun with {stream.settings['rope']!r}", field="rope"
        )
    return payloads.from_arrays(options, adapter, first=stream.next_position)


def _shown(stream: StreamSession) -> answers.Json:
    url = f"/api/kv-cache/streams/{stream.id}"
    same = ("id", "model", "next_chunk", "next_position", "tokens", "size", "expires_at")
    return {name: getattr(stream, name) for name in same} | {
        "max_size": settings.KV_CACHE_MAX_BYTES,
        "chunk_url": f"{url}/chunks/{stream.next_chunk}",
        "finish_url": f"{url}/finish",
    }
