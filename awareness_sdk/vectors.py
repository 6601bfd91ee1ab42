"""Align vectors to another model's space: `client.align_vector(vector, "all-minilm-l6-v2", "smollm2-135m")`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from awareness_sdk import snapshots
from awareness_sdk.metrics import RESULT_HEADER, result_of
from awareness_sdk.transport import SAFETENSORS, Transport
from latentmas.protocol.vectors import read_vectors, write_vectors
from latentmas.protocol.w_matrix import PROTOCOL

Result = dict[str, Any]
ALIGN = "/api/latentmas/vectors/align"


def align_vectors(transport: Transport, vectors: Any, *, options: Mapping[str, Any]) -> Result:
    """Send one vector `[width]` or several `[count, width]`: few as JSON, many as a file.

    Returns `aligned_vector` for one, `aligned_vectors` for several, in float32, with their quality.
    """
    array = np.asarray(vectors, np.float32)
    if array.ndim not in (1, 2):
        raise ValueError(f"vectors of the shape {array.shape}; give [width] or [count, width]")
    params = {"protocol": PROTOCOL} | {name: value for name, value in options.items() if value is not None}
    single = array.ndim == 1
    if not snapshots.is_large(array):
        body = params | {"vector" if single else "vectors": array.tolist()}
        answer = dict(transport.json("POST", ALIGN, body=body))
        name = "aligned_vector" if single else "aligned_vectors"
        return answer | {name: np.asarray(answer[name], np.float32)}
    file = write_vectors(np.atleast_2d(array))
    response = transport.send("POST", ALIGN, content=file, params=params, accept=SAFETENSORS)
    aligned = read_vectors(response.content).array
    result = result_of(response.headers[RESULT_HEADER])
    return result | ({"aligned_vector": aligned[0]} if single else {"aligned_vectors": aligned})
