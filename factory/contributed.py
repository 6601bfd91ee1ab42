"""Contributed packs in a job: which models can be run here, spot-checks before use, the basis of their figures.

A contributed pack is its sender's word. Where its model can be run it is spot-checked first, and one that fails is
refused for good, since another try would draw other documents.
"""

from collections.abc import Mapping

from factory.commands import refuse_pack
from factory.corpora import TextCorpus, corpus_with, load_corpus
from factory.events import PackRefused
from factory.packs.spot_check import spot_check
from factory.queries import get_pack, require_not_refused
from factory.session import FactorySession
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.quality import Basis
from latentmas.runners.weights import PACKAGED


def text_of(corpus_digest: str) -> TextCorpus:
    """Return the text of a pack's corpus. Raises InvalidInput unless it comes with the product and is installed."""
    known = corpus_with(digest=corpus_digest)
    if known is None:
        raise InvalidInput(f"no corpus with the digest {corpus_digest} comes with the product", field="corpus_digest")
    return load_corpus(known.location)


def runnable(session: FactorySession) -> set[str]:
    """Return which models of the session's packs can be run here, with exactly the packs' weights and their text."""
    return {
        name
        for name, pack in session.packs.items()
        if has_weights(name, pack.document.weights, session) and _has_text(name, session)
    }


def require_genuine(digests: Mapping[str, str], session: FactorySession, *, metadata: Metadata) -> None:
    """Spot-check the contributed ones of the session's packs whose models can be run here; `digests` are by model.

    Raises InvalidInput for a pack that fails, which is then on record as refused, or that was refused before.
    """
    rows = {name: get_pack(digest) for name, digest in digests.items()}
    for row in rows.values():
        require_not_refused(row)
    for name in runnable(session):
        if rows[name].contributor is not None:
            _check(name, rows[name].digest, session, metadata)


def basis_of(*digests: str) -> Basis:
    """Return the basis of figures on packs' held-out rows: `activation` only if all were captured by this server."""
    captured = all(get_pack(digest).contributor is None for digest in digests)
    return Basis.ACTIVATION if captured else Basis.DECLARED


def _check(name: str, digest: str, session: FactorySession, metadata: Metadata) -> None:
    session.unload_models(keep=name)
    progress = session.stage(f"spot-check the pack of {name}")
    try:
        spot_check(session.packs[name], model=session.model(name), corpus=session.corpus, progress=progress)
    except InvalidInput as problem:
        refuse_pack(_refusal(digest, problem), metadata=metadata)
        raise InvalidInput(
            f"the pack {digest} is refused: {problem.message}",
            resolution=problem.advice,
            **{**problem.facts, "pack": digest},
        ) from problem


def _refusal(digest: str, problem: InvalidInput) -> PackRefused:
    document = problem.facts.get("document")
    return PackRefused(
        digest=digest,
        field=str(problem.facts["field"]),
        document=None if document is None else str(document),
        reason=problem.message,
    )


def has_weights(name: str, weights: str | None, session: FactorySession) -> bool:
    """Return whether a model runs here with exactly these weights."""
    try:
        return name in PACKAGED and session.weights(name).digest == weights
    except ModelNotSupported:  # the extra `models` is not installed
        return False


def _has_text(name: str, session: FactorySession) -> bool:
    try:
        return session.corpus.digest == session.packs[name].document.corpus_digest
    except InvalidInput:  # it is not known, or its text is not installed
        return False
