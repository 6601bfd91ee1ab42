"""The job that reads memories on sale in the tokens of the models that they may be delivered to, and who starts it.

It starts when a version has passed its screening, and by the schedule for what was on sale before a W-Matrix to another
model was certified, or before that model's weights were here. What was tried before is not tried again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from factory.cold_start.run import default_session
from latentmas.events.types import Metadata
from latentmas.jobs.commands import start
from latentmas.jobs.handlers import Json, Queue, Run, handler
from latentmas.jobs.queries import FACTORY
from latentmas.protocol.errors import (
    DimensionMismatch,
    InvalidInput,
    ModelNotSupported,
    NotFound,
    StorageUnavailable,
    TooLarge,
)
from latentmas.protocol.quality import ModelIdentity
from latentmas.runners.weights import find_weights, installed_models
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.artefacts.retokenising import (
    RETOKENISE,
    forget_withdrawn,
    memories_of,
    on_record,
    record_no_tokens,
    record_tokens,
    targets_of,
    versions_to_do,
)
from marketplace.exchange.kv_cache import known_layers
from marketplace.listings.choosing.choice import certified_from
from marketplace.memories.opening import open_memory
from marketplace.sales.goods import Kind
from marketplace.screening.contents import memories_in
from marketplace.screening.screening import rows_of

if TYPE_CHECKING:
    from factory.runners.model import RunningModel
    from factory.session import FactorySession

LONGEST = timedelta(days=1)  # with what waits in front of it
AT_ONCE = 500  # versions in one job of the schedule's
MADE = ""  # no reason why not
UNFIT = (InvalidInput, DimensionMismatch, ModelNotSupported, TooLarge)
Rows = tuple[Artefact, ArtefactVersion]


def start_lacking() -> None:
    """Forget what nobody offers any more, and start a job for what is on sale and was not tried yet."""
    forget_withdrawn()
    installed, now = installed_models(), timezone.now()
    wanted = {target for source in installed for target in targets_of(source, at=now) if target.name in installed}
    # To be known, weights are hashed: only where something waits for them.
    if not versions_to_do(installed, wanted, at=now, limit=1):
        return
    here = {each for each in wanted if _digest_here(each.name) == each.weights}
    if versions := versions_to_do(installed, here, at=now, limit=AT_ONCE):
        start(RETOKENISE, arguments={"versions": versions}, requested_by=FACTORY, patient=True)


def _title(arguments: Json) -> str:
    return f"read {len(arguments['versions'])} memories on sale in the tokens of other models"


@handler(RETOKENISE, queue=Queue.MEASURE, deadline=LONGEST, title=_title)
def retokenise(run: Run) -> Json:
    """Read versions' memories in the tokens of every target whose weights are here; keep these, or why there are none.

    Raises NotFound.
    """
    rows: list[Rows] = [rows_of(*name.split("/")) for name in run.arguments["versions"]]
    session = default_session(stage=run.stage, metadata=Metadata(actor=f"job:{run.identifier}"))
    found = Counter[str]()  # by the reason; made where there is none
    try:
        for source in sorted({artefact.model for artefact, _ in rows}):
            for target in targets_of(source, at=timezone.now()):
                several = [each for each in rows if each[0].model == source and _lacks(each, target)]
                found.update(_tried(several, target, session) if several else ())
    finally:
        session.unload_models()
    made = found.pop(MADE, 0)
    return {"versions": len(rows), "made": made, "not_made": found.total(), "reasons": sorted(found)}


def _lacks(rows: Rows, target: ModelIdentity) -> bool:
    artefact, version = rows
    memories = set(memories_of(version, Kind(artefact.kind)))
    return on_record(memories, target.name).filter(target_weights=target.weights).count() < len(memories)


def _tried(several: Sequence[Rows], target: ModelIdentity, session: "FactorySession") -> Iterator[str]:
    """Yield for each memory that was not tried yet why there are no tokens, or MADE.

    Where a model is not here, that is yielded once and nothing recorded: the schedule comes again when it is.
    """
    from awareness_sdk.first_layer import known_layers as usual_layers  # brings torch along

    source = several[0][0].model
    try:
        models = _models(source, target, session)
    except ModelNotSupported as error:
        yield error.message
        return
    layers = max([usual_layers(models[1].geometry), *_layers_taken(source, target)])
    progress = session.stage(f"read memories of {source} in the tokens of {target.name}")
    for done, (artefact, version) in enumerate(several):
        progress(done, len(several))
        try:
            for memory, data in memories_in(artefact, version):
                if not on_record([memory], target.name).filter(target_weights=target.weights).exists():
                    yield _recorded(memory, data, target, models=models, layers=layers)
        except NotFound as error:  # a file is gone, which is no reason to leave out the other versions
            yield error.message
    progress(len(several), len(several))


def _models(source: str, target: ModelIdentity, session: "FactorySession") -> "tuple[RunningModel, RunningModel]":
    """Return both models, loaded. Raises ModelNotSupported where one is not here with its weights."""
    if (here := session.weights(target.name).digest) != target.weights:
        raise ModelNotSupported(f"the weights of {target.name} here are {here}, the W-Matrix's {target.weights}")
    session.unload_models(keep=source)
    return session.model(source), session.model(target.name)


def _layers_taken(source: str, target: ModelIdentity) -> list[int]:
    """Return how many first layers the certified W-Matrices to these very weights take."""
    rows = certified_from(source, at=timezone.now()).filter(target_model=target.name, target_weights=target.weights)
    return [known_layers(row) for row in rows.only("file_digest")]


def _recorded(
    memory: str, data: bytes, target: ModelIdentity, *, models: "tuple[RunningModel, RunningModel]", layers: int
) -> str:
    from factory.memories.retokenising import tokens_made  # brings torch along

    try:
        frame = open_memory(data, max_decoded_bytes=settings.KV_CACHE_MAX_BYTES).frame
        made = tokens_made(frame, source=models[0], target=models[1], layers=layers)
    except UNFIT as error:
        record_no_tokens(memory, target, reason=error.message)
        return error.message
    record_tokens(memory, target, made)
    return MADE


def _digest_here(model: str) -> str | None:
    try:
        return find_weights(model, cache=settings.CACHE_DIR, convert=False).digest
    except (ModelNotSupported, StorageUnavailable):
        return None
