"""KV-cache compression on a server: the specification's eight calls, codec profiles and streams.

Keys, values and queries are nested lists or NumPy arrays: `[tokens, dim]` is one head without RoPE, and
`[layers, tokens, heads, dim]` the model's own cache. Small ones travel as JSON, larger ones as a safetensors file.
"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from awareness_sdk import snapshots
from awareness_sdk.metrics import RESULT_HEADER, result_of, with_metrics
from awareness_sdk.streams import KVCacheStream
from awareness_sdk.transport import SAFETENSORS, Transport
from latentmas.protocol.plain import plain_snapshot
from latentmas.protocol.snapshot import KVSnapshot, read_snapshot, write_snapshot

Result = dict[str, Any]
BASE = "/api/kv-cache"
MODEL_RANK = 4
ARRAYS = ("keys", "values", "queries", "query_positions")


class Cache(TypedDict, total=False):
    """Arguments that give the cache: arrays, or a whole snapshot, with queries where there are any."""

    keys: Any
    values: Any
    queries: Any
    query_positions: Any
    snapshot: KVSnapshot | None
    weights: str | None  # digest of the model's weights; a snapshot states its own
    rope: str  # "removed" if queries, and four-dimensional keys, are given without their rotation


class Options(Cache, total=False):
    """Arguments that say how to compress; None leaves the choice to the server."""

    attention_threshold: float | None
    min_tokens: int | None
    max_tokens: int | None
    ratio: float | None
    kl: float | None
    method: str | None
    profile: str | None


class CompressOptions(Options, total=False):
    time_decompression: bool


class BenchmarkOptions(Options, total=False):
    repetitions: int
    measure_ttft: bool


class KVCacheClient:
    """`client.kv_cache`. Every call raises AwarenessError with the server's code, and the field where one is wrong."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def compress(self, *, model_name: str, **given: Unpack[CompressOptions]) -> Result:
        """Return `compressed` (the .kvz file, bytes) and its `metrics`, which answer phase 1's camelCase keys too.

        Small requests also return `kept`, the indices of the kept tokens; the file itself holds their positions.

        Give arrays (keys, values, queries, query_positions, weights), or a whole snapshot. Options are the server's:
        attention_threshold, min_tokens, max_tokens, ratio, kl, method, profile, rope, time_decompression.
        """
        request = self._request({"model_name": model_name, **given})
        if "content" not in request:
            document = with_metrics(self._transport.json("POST", f"{BASE}/compress", **request))
            return document | {"compressed": base64.b64decode(document["compressed"])}
        response = self._transport.send("POST", f"{BASE}/compress", accept=SAFETENSORS, **request)
        return result_of(response.headers[RESULT_HEADER]) | {"compressed": response.content}

    def decompress(self, compressed: bytes | Mapping[str, Any]) -> Result:
        """Return keys, values and positions of a .kvz file, or of what `compress` returned, and the whole snapshot."""
        data = compressed if isinstance(compressed, bytes) else compressed["compressed"]
        response = self._transport.send("POST", f"{BASE}/decompress", content=data, accept=SAFETENSORS)
        snapshot, _ = read_snapshot(response.content)
        frame = snapshot.frame
        plain = frame.model is None and (frame.geometry.layers, frame.geometry.heads) == (1, 1)
        return {
            "model": frame.model,
            "positions": frame.positions,
            "next_position": frame.next_position,
            "keys": snapshot.keys[0, :, 0] if plain else snapshot.keys,
            "values": snapshot.values[0, :, 0] if plain else snapshot.values,
            "snapshot": snapshot,
        } | result_of(response.headers[RESULT_HEADER])

    def validate_quality(
        self, compressed: bytes | Mapping[str, Any], *, model_name: str, **given: Unpack[Cache]
    ) -> Result:
        """Return `passed`, `errors`, `warnings`, `recommendations`, the figures they rest on and their `bases`.

        With the original (arrays or snapshot) and queries the loss is measured; without them it stays unknown, and what
        the file claims of itself is `declared`.
        """
        data = compressed if isinstance(compressed, bytes) else compressed["compressed"]
        asked = {"model_name": model_name, "rope": "applied", **given}
        cache, params = _parted(asked)
        if not {"keys", "snapshot"} & set(cache):
            return dict(self._transport.send("POST", f"{BASE}/validate-quality", content=data, params=params).json())
        request = self._request(asked, compressed=data)
        return dict(self._transport.send("POST", f"{BASE}/validate-quality", **request).json())

    def benchmark(self, *, model_name: str, **given: Unpack[BenchmarkOptions]) -> Result:
        """Return median times of `repetitions` calls on the server, and apart that of the first, which may compile.

        With `measure_ttft` the server runs the model, if it has exactly its weights and the snapshot its `token_ids`.
        """
        request = self._request({"model_name": model_name, **given})
        return with_metrics(self._transport.send("POST", f"{BASE}/benchmark", **request).json())

    def supported_models(self) -> list[Result]:
        """Return the models whose KV-cache can be compressed."""
        return list(self._transport.json("GET", f"{BASE}/models")["models"])

    def model_adapter(self, model_name: str) -> Result:
        """Return every fact that compression uses about a model; `unknown` names those that are missing."""
        return dict(self._transport.json("GET", f"{BASE}/models/{model_name}"))

    def estimate_savings(self, *, model_name: str, tokens: int, **options: Any) -> Result:
        """Return estimated savings for a cache of `tokens` tokens; `rests_on` and `basis` say what is behind them."""
        body = {"model_name": model_name, "tokens": tokens, **options}
        return dict(self._transport.json("POST", f"{BASE}/estimate-savings", body=body))

    def statistics(self) -> Result:
        """Return what the server has compressed so far."""
        return dict(self._transport.json("GET", f"{BASE}/statistics"))

    def profiles(self, model_name: str | None = None) -> list[Result]:
        """Return the codec profiles that can be downloaded, with what each was measured to do."""
        params = {"model_name": model_name} if model_name else None
        return list(self._transport.json("GET", f"{BASE}/profiles", params=params)["profiles"])

    def download_profile(self, digest: str, path: str | os.PathLike[str]) -> Path:
        """Write a codec profile to a file and return its path. Raises AwarenessError if it has another digest."""
        final = Path(path)
        partial = final.with_name(f"{final.name}.partial")
        try:
            with self._transport.file(f"{BASE}/profiles/{digest}", digest=digest) as pieces, partial.open("wb") as file:
                file.writelines(pieces)
            return partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)

    def open_stream(self, *, model_name: str, **options: Any) -> KVCacheStream:
        """Begin a stream of chunks; see `KVCacheStream`."""
        opened = self._transport.json("POST", f"{BASE}/streams", body={"model_name": model_name, **options})
        return KVCacheStream(self._transport, opened, adapter=lambda: self.model_adapter(model_name))

    def _request(self, given: Mapping[str, Any], *, compressed: bytes | None = None) -> dict[str, Any]:
        """Return what `Transport.send` takes: a JSON body, or a file with its parameters."""
        cache, params = _parted(given)
        numbers = {name: cache[name] for name in ARRAYS if name in cache}
        large = "snapshot" in cache or len(compressed or b"") > snapshots.MAX_JSON_NUMBERS
        if not large and not snapshots.is_large(*numbers.values()):
            body = params | cache | {name: np.asarray(array).tolist() for name, array in numbers.items()}
            return {"body": body | ({} if compressed is None else {"compressed": _text(compressed)})}
        positions = cache.get("query_positions")
        content = write_snapshot(
            cache.get("snapshot") or self._snapshot(params["model_name"], cache),
            queries=snapshots.queries_of(cache.get("queries")),
            query_positions=None if positions is None else np.asarray(positions, np.int32),
            compressed=None if compressed is None else np.frombuffer(compressed, np.uint8),
        )
        return {"content": content, "params": params}

    def _snapshot(self, model_name: str, cache: Mapping[str, Any]) -> KVSnapshot:
        keys, values = cache["keys"], cache["values"]
        if np.ndim(keys) != MODEL_RANK:
            return plain_snapshot(keys, values)
        adapter = self.model_adapter(model_name)
        return snapshots.model_snapshot(keys, values, adapter=adapter, weights=cache.get("weights"))


def _parted(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split arguments into those that give the cache itself and the parameters, without those that are None."""
    known = {name: value for name, value in given.items() if value is not None}
    cache = {name: known.pop(name) for name in (*ARRAYS, "snapshot", "weights") if name in known}
    return cache, known


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
