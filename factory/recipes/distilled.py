"""Make a distilled map: a closed form with few known layers, then training end to end."""

from dataclasses import dataclass

from factory.corpora.broad import whole_texts
from factory.distillation.arrays import mixed, smaller
from factory.distillation.distil import RECALL_SHARE, Drawing, distilled, lengths_of
from factory.distillation.lessons import READ_IN
from factory.distillation.maps import DistilledMap, Origin, keep_map
from factory.distillation.training import Settings
from factory.distillation.unfinished import Unfinished
from factory.recipes.closed_form import CorrectionShape
from factory.recipes.maps import FunctionalOrder, map_of
from factory.runners.model import RunningModel, load_model
from factory.session import FactorySession
from latentmas.protocol.eight_bit import to_eight_bit
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

UNIFIED_DIMENSION, KNOWN_LAYERS = 512, 2


@dataclass(frozen=True, slots=True)
class DistillationOrder:
    """A map to distil: `steps` of about `step_tokens` on a torch `device`, from a closed form of this shape.

    `further` goes on from the distilled map at hand instead, made smaller where the shape says so. The result is the
    mean of the map that the training began with and the trained one, whose share is `mix`. `recall` is the share of the
    texts that facts are put into.
    """

    source: str
    target: str
    steps: int
    step_tokens: int
    rate: float
    seed: int
    unified_dimension: int | None  # None: the map's at hand, or UNIFIED_DIMENSION
    known_layers: int | None  # None: those of the map at hand, or KNOWN_LAYERS
    correction_rank: int
    device: str
    further: bool = False
    mix: float = 1.0
    recall: float = RECALL_SHARE


def make_distilled(order: DistillationOrder, session: FactorySession) -> DistilledMap:
    """Make a pair's map and keep it for the factory; a training of this order that broke off goes on.

    Raises as `map_of` does, and StorageUnavailable; InvalidInput where no map is at hand to go on from.
    """
    start, made_so = _start(order, session)
    session.unload_models()
    models = (_learner(order.source, order.device, session), _learner(order.target, order.device, session))
    training = Settings(order.steps, order.rate, order.seed)
    texts = whole_texts()
    settings = {
        "distillation_steps": str(order.steps),
        "distillation_step_tokens": str(order.step_tokens),
        "distillation_rate": str(training.rate),
        "distillation_recall_share": f"{order.recall:.3g}",
        "distillation_read_in_share": f"{READ_IN:.3g}",
        "distillation_seed": str(order.seed),
        "distillation_mix": str(order.mix),
        "distillation_device": order.device,
        "distillation_documents": str(sum(map(len, texts.values()))),
        **made_so,
    }
    origin = Origin(models[0].weights, models[1].weights, settings)
    unfinished = Unfinished.of(origin, cache=session.cache)
    trained = distilled(
        start,
        {name: [each.text for each in documents] for name, documents in texts.items()},
        models=models,
        settings=training,
        drawing=Drawing(lengths_of(order.step_tokens), order.recall),
        progress=session.stage(f"distil {order.source} -> {order.target}"),
        unfinished=unfinished,
    )
    made = keep_map(to_eight_bit(mixed(start, trained, share=order.mix)), origin, cache=session.cache)
    unfinished.remove()
    return made


def _start(order: DistillationOrder, session: FactorySession) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays to begin with, and how they were made."""
    if order.further:
        return _at_hand(order, session)
    shape = CorrectionShape(order.known_layers or KNOWN_LAYERS, order.correction_rank)
    dimension = order.unified_dimension or UNIFIED_DIMENSION
    closed = FunctionalOrder(order.source, order.target, "", 0, unified_dimension=dimension, correction=shape)
    start = map_of(closed, session, statistics=None)
    return start.arrays, start.settings


def _at_hand(order: DistillationOrder, session: FactorySession) -> tuple[dict[str, Array], dict[str, str]]:
    found = session.distilled_map(order.source, order.target)
    if found is None:
        raise InvalidInput(
            f"there is no distilled map from {order.source} to {order.target} for the weights at hand",
            resolution="Leave out --further: the training then begins with a closed form.",
        )
    arrays, settings = found.read(), {"distilled_further_from": f"sha256:{found.path.stem}"}
    if order.unified_dimension is None and order.known_layers is None:
        return arrays, settings
    layer = session.model(order.target).geometry.layer_width
    dimension = order.unified_dimension or len(arrays["latent_scale"])
    known = order.known_layers or arrays[CORRECTION[0]].shape[1] // layer
    settings |= {"unified_dimension": str(dimension), "known_layers": str(known)}
    return smaller(arrays, dimension=dimension, width=known * layer), settings


def _learner(name: str, device: str, session: FactorySession) -> RunningModel:
    """Return the model on the device; a GPU computes in bfloat16, a processor where it can."""
    if device == "cpu":
        return session.learner(name)
    model = load_model(session.weights(name), differentiable=True, half=True)
    model.network.to(device)
    return model
