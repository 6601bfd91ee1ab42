"""The market's main story through the client alone: one agent reads, lists and is paid, another buys and answers.

Steps: sell, find, quote, top up, buy, answer, check. Every figure comes from the server's answers or from the models.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.table import Table

from awareness_sdk import AwarenessClient, AwarenessError
from awareness_sdk.log_proofs import Trust
from awareness_sdk.market import UsedMemory
from awareness_sdk.receipts import verify_receipt
from factory.demonstration.arms import Answer, Arm, answered, start_of, text_arm
from factory.demonstration.memories import Packed, pack, read_memory
from factory.demonstration.show import BEFORE_QUESTION, MS_PER_SECOND, NOTHING, TEXT, answers_table, packing
from factory.runners.model import RunningModel
from latentmas.protocol.errors import DeadlineExceeded, InvalidInput
from marketplace.artefacts.retokenising import RETOKENISE

Json = dict[str, Any]
Shown = str | Table
CURRENCY = "USD"
TITLE, RIGHTS = "Memory of a report", "The seller has read an invented report for a demonstration."
HANDLES = ("market-demo-seller", "market-demo-buyer")
PATIENCE_SECONDS, PAUSE_SECONDS = 180.0, 0.5
OFFERED, REFUSED = "passed", "refused"
# Why a memory is not aligned to the buyer's model; nothing is charged. And what may be done about it.
NOT_ALIGNED = {
    "W_MATRIX_NOT_FOUND": "`make run` measures the pair in half an hour and certifies it where it is good enough; then "
    "run this again.",
    "QUALITY_BELOW_THRESHOLD": "The exchange expects too little of this memory there; --minimum-retention says what is "
    "enough for B.",
}
BOUGHT = "the memory that was bought"


@dataclass(frozen=True, slots=True)
class Site:
    """A running site. `keep_up` does its workers' share where it has none; `credit` pays for a top-up, by its id."""

    seller: AwarenessClient
    buyer: AwarenessClient
    keep_up: Callable[[], None]
    credit: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Story:
    """What is read, asked and charged. `models` are those of seller and buyer, loaded when they are asked for."""

    models: tuple[str, str]
    load: Callable[[str], RunningModel]
    text: str
    questions: Sequence[str]
    tokens: int
    price: int  # minor units
    minimum_retention: float | None = None  # below it the buyer takes no aligned memory; None leaves it to the site


@dataclass(frozen=True, slots=True)
class Bought:
    """What the buyer got for which model; `refused` says why it was not aligned to the model he wanted."""

    used: UsedMemory
    model: str
    quote: Json
    refused: AwarenessError | None


def told(story: Story, site: Site) -> Iterator[Shown]:
    """Yield what happens, as it happens. Raises LatentMASError or AwarenessError."""
    for client, handle in ((site.seller, HANDLES[0]), (site.buyer, HANDLES[1])):
        if not client.agents.mine():
            client.agents.register(handle=handle, display_name=handle)
    reader = story.load(story.models[0])
    started = time.perf_counter()
    memory = read_memory(reader, story.text)
    reading_ms = MS_PER_SECOND * (time.perf_counter() - started)
    packed = pack(memory, model=reader)
    yield packing(reader, packed, reading_ms)
    card = listed(packed, story, site)
    yield _listed(card)
    yield from _known_for(card)
    found = next(each for each in site.buyer.memories_on_sale(model=reader.name) if each["id"] == card["id"])
    yield f"B finds it: {found['title']!r}, {found['tokens']} tokens of {found['model']}"
    bought = buy(found["id"], story, site)
    yield from _bought(bought, story)
    receiver = reader if bought.model == reader.name else story.load(bought.model)
    for question in story.questions:
        yield answers_table(f"{receiver.name} answers", question, answers(receiver, bought, question, story))
    yield from checked(bought.used.purchase, site)
    yield _shown(bought, story)


def listed(packed: Packed, story: Story, site: Site) -> Json:
    """List a memory in place of what this agent has listed before, and return its card once it is on offer.

    Its text is by then known in the tokens of the models that it can be aligned to, where that can be.

    Raises InvalidInput where its screening refuses it.
    """
    (agent, *_) = site.seller.agents.mine()
    for earlier in list(site.seller.memories_on_sale(seller=agent["id"])):
        site.seller.withdraw_memory(earlier["id"], reason="The demonstration is run again.")
    card = site.seller.publish_memory(packed.data, title=TITLE, price=story.price, rights=RIGHTS, invertible=True)

    def screened() -> Json | None:
        now = site.seller.memory_on_sale(card["id"])
        state, findings = now["versions"][0]["screening"], now["versions"][0]["findings"]
        if state == REFUSED:
            raise InvalidInput(f"the screening has refused the memory: {'; '.join(findings) or 'it is a duplicate'}")
        waits = any(job["kind"] == RETOKENISE for job in site.seller.jobs.list(open_only=True))
        return now if state == OFFERED and not waits else None

    return waited_for("the screening and what follows it", screened, site)


def buy(memory_id: str, story: Story, site: Site) -> Bought:
    """Buy a use of the memory for the buyer's model or, where it cannot be aligned to that, for the memory's own.

    Raises AwarenessError.
    """
    source, target = story.models
    refused = None
    if target != source:
        try:
            used = _used(memory_id, target, site, minimum_retention=story.minimum_retention)
            return Bought(*used, refused=None)
        except AwarenessError as error:
            if error.code not in NOT_ALIGNED:
                raise
            refused = error
    return Bought(*_used(memory_id, source, site), refused=refused)


def answers(model: RunningModel, bought: Bought, question: str, story: Story) -> list[Answer]:
    """Return what a model writes after the memory, after the text itself, and after nothing."""
    moved = bought.used.purchase["file"]["size"]
    arms = [
        Arm(BOUGHT, lambda: start_of(model, bought.used.snapshot), moved),
        text_arm(model, TEXT, story.text),
        text_arm(model, NOTHING, ""),
    ]
    return answered(model, arms, BEFORE_QUESTION + question, tokens=story.tokens, repetitions=1)


def checked(purchase: Json, site: Site) -> Iterator[Shown]:
    """Yield how the price was divided, and what receipt and log prove of it. Raises VerificationFailed."""
    yield _split(purchase)
    receipt = site.buyer.money.receipt(purchase["id"])

    def sealed() -> Json | None:
        try:
            return site.buyer.log.proof(receipt["position"])
        except AwarenessError as error:
            if error.code != "NOT_SEALED":
                raise
            return None

    proof = waited_for("a checkpoint of the log", sealed, site)
    said = verify_receipt(receipt, proof=proof, trust=Trust.of_document(site.buyer.log.keys()))
    if said["file"] != purchase["file"]["digest"]:
        raise InvalidInput("the receipt is for another file than the one that was delivered")
    price = said["price"]
    yield (
        f"The receipt is signed, for this file ({said['file'][:19]}...) and {price['amount']} {price['currency']}; "
        f"checked offline, with the keys that the server names."
    )
    yield (
        f"The sale stands in the log at position {said['position']}: {len(proof['proof'])} hashes lead from its entry "
        f"to the root of the signed checkpoint of {proof['tree_size']} events."
    )


def waited_for(what: str, ready: Callable[[], Json | None], site: Site) -> Json:
    """Return what `ready` does as soon as it is something. Raises DeadlineExceeded."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (found := ready()) is None:
        if time.monotonic() > until:
            raise DeadlineExceeded(
                f"waited {PATIENCE_SECONDS:.0f} s for {what}",
                resolution="Start the site's workers and its schedule (`make run`), or leave --address out.",
            )
        site.keep_up()
        time.sleep(PAUSE_SECONDS)
    return found


def _used(memory_id: str, model: str, site: Site, **wanted: Any) -> tuple[UsedMemory, str, Json]:
    """Take a quote, pay in what the wallet lacks, and buy. Raises AwarenessError."""
    quote = site.buyer.quote_memory(memory_id, model, **wanted)
    lacking = quote["price"]["amount"] - site.buyer.money.balance(CURRENCY)
    if lacking > 0:
        site.credit(site.buyer.money.top_up(lacking, CURRENCY)["id"])
    return site.buyer.use_memory(memory_id, model, max_price=quote["price"]["amount"], **wanted), model, quote


def _listed(card: Json) -> str:
    (version,) = card["versions"]
    retention = "not measured yet" if version["retention"] is None else f"{version['retention']['value']:.3f}"
    price = card["price"]
    return (
        f"A lists it: {card['url']}, base price {price['amount']} {price['currency']} (minor units); "
        f"screened, uniqueness {version['uniqueness']}, retention {retention}"
    )


def _known_for(card: Json) -> Iterator[str]:
    (version,) = card["versions"]
    for each in version["target_tokens"]:
        if each["known"]:
            yield f"Its token ids tell the text, so it is delivered to {each['model']} in that model's own tokens"
        else:
            yield f"To {each['model']} it is delivered in its own tokens: {each['reason']}"


def _bought(bought: Bought, story: Story) -> Iterator[Shown]:
    if bought.refused:
        yield f"Not aligned to {story.models[1]}, and nothing was charged for that: {bought.refused}"
        yield f"So B runs {bought.model} itself, and buys the memory for that."
    yield _quote(bought.quote)
    purchase = bought.used.purchase
    report = purchase["report"] or {}
    form, price = purchase["delivery"]["form"], purchase["price"]
    yield f"B buys one use for {price['amount']} {price['currency']}; delivered: {form}, {purchase['tokens']} tokens"
    if (w_matrix := report.get("w_matrix")) is not None:
        mode, entries = report["mode"], report["untrusted_tokens"]
        yield f"Aligned by the W-Matrix {w_matrix['listing']} {w_matrix['version']}: {mode}, {entries} entries"
        if (kept := report["source_tokens_kept"]) is not None:
            yield f"The memory's own tokens were kept: {kept}"
        yield _expected(report["quality"])
    yield from report.get("findings", ())
    if (notice := report.get("notice")) is not None:
        yield notice


def _expected(quality: Json) -> str:
    expected = quality["expected_retention"]
    if expected is None:
        return "How much of what the text says is kept for B is not known of this memory."
    value, low, high = (float(expected[name]) for name in ("value", "low", "high"))
    return f"Kept for B of what the text says, as expected of this memory: {value:.2f} ({low:.2f} to {high:.2f})"


def _quote(quote: Json) -> Table:
    breakdown, price = quote["breakdown"], quote["price"]
    table = Table(title=f"The quote: {price['amount']} {price['currency']}, from a base of {breakdown['base']}")
    for name in ("term", "weight", "factor", "adds"):
        table.add_column(name, justify="left" if name == "term" else "right")
    for term in breakdown["terms"]:
        table.add_row(term["name"], *(f"{Decimal(term[name]):.4f}" for name in ("weight", "factor", "adds")))
    return table


def _split(purchase: Json) -> Table:
    table = Table(title=f"How the {purchase['price']['amount']} {purchase['price']['currency']} were divided")
    for name in ("recipient", "amount", "agent"):
        table.add_column(name, justify="right" if name == "amount" else "left")
    for share in purchase["shares"]:
        table.add_row(share["recipient"], str(share["amount"]), share["agent"] or "-")
    return table


def _shown(bought: Bought, story: Story) -> str:
    source, target = story.models
    if bought.refused is None and target != source:
        return f"Shown: {target} answered from a memory of {source} that it had bought."
    same = f"Shown: a memory of {source} sold to an agent with the same model. Not shown:"
    if bought.refused is None:
        return f"{same} another model."
    return f"{same} {target}. {NOT_ALIGNED[bought.refused.code]}"
