"""Versions that are files of static embeddings."""

from latentmas import blobs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import RAW_BYTES_PER_NUMBER
from latentmas.protocol.vectors import read_vectors, write_vectors
from latentmas.registry.queries import get_model
from marketplace.artefacts.events import Contents
from marketplace.artefacts.made import Made, check_canary, stored
from marketplace.listings.events.listing import StoredFile
from marketplace.uploads.queries import get_stored

METHOD = "vectors"


def made_embeddings(agent: str, *, upload: str, model: str, canary: int | None = None) -> Made:
    """Return the version that one of the agent's finished uploads is: a file of vectors of a model.

    Raises NotFound, Conflict, InvalidInput, ModelNotSupported or TooLarge.
    """
    row = get_stored(agent, upload)
    known = get_model(model)
    vectors = read_vectors(blobs.local_path(row.digest), field="upload")
    if vectors.model is not None and get_model(vectors.model).name != known.name:
        raise InvalidInput(f"the file is of {vectors.model}, the request says {known.name}", field="model")
    count, width = vectors.array.shape
    given = None
    if canary is not None:
        check_canary(canary, count)
        given = stored(write_vectors(vectors.array[:canary], model=known.name, weights=vectors.weights))
    contents = Contents(
        model=known.name,
        weights=vectors.weights,
        tokens=0,
        width=width,
        method=METHOD,
        raw_bytes=count * width * RAW_BYTES_PER_NUMBER,
        coded_bytes=row.size,
        parts=count,
    )
    return Made(StoredFile(row.digest, row.size), contents, given)
