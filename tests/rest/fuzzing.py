"""A server with one of everything, and requests drawn from its OpenAPI document by schemathesis."""

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import numpy as np
import schemathesis
from django.contrib.auth.models import Permission, User
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from django.utils import timezone
from hypothesis import strategies as st
from schemathesis import HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.schemas import OpenApiSchema

from kvcache.server.payloads import Given, to_file
from latentmas.events import store
from latentmas.events.types import Metadata
from latentmas.jobs.commands import start
from latentmas.protocol.money import Money
from latentmas.protocol.vectors import write_vectors
from latentmas.registry import data_file
from latentmas.rest.answers import CONTENT_TYPE
from latentmas.rest.scopes import SCOPES
from latentmas.transparency.tasks import seal_log
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.queries import get_agent
from marketplace.artefacts.commands import withdraw
from marketplace.artefacts.outputs import PATHS
from marketplace.certification.commands import open_rotation
from marketplace.claims.acceptance_aggregate import ACCEPTANCE
from marketplace.claims.acceptance_events import AcceptanceRequested, Promise
from marketplace.claims.commands import open_dispute
from marketplace.claims.events import DisputeKind
from marketplace.listings.commands import CERTIFY, certify_version, create_listing
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import By, change_access, delist, quarantine_listing, yank_version
from marketplace.payments.by_hand import top_up_by_hand
from marketplace.reputation.review_commands import write_review
from marketplace.sales.commands import Buyer
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.purchasing import buy
from marketplace.sales.queries import sale_of_party
from marketplace.sales.quotes import quote as quoted
from marketplace.sales.quotes import sealed
from tests.marketplace import sample
from tests.marketplace.artefacts.sample import on_sale, screen
from tests.marketplace.artefacts.selling import OFFER, uploaded
from tests.marketplace.exchange.sample import UNIFIED, memory, w_matrix

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
MODELS = (sample.SOURCE, sample.TARGET, "gpt-4", "qwen-7b")
BY = Metadata(actor="command:fuzz")
WEBHOOK = {"url": "https://hooks.example/latentmas", "types": ["agent.registered"]}
LOCAL: dict[str, Any] = {"SERVER_NAME": "localhost"}  # allowed outside tests, too
PAYOUT = {"amount": 10, "currency": "USD", "destination": "DE02 1203 0000 0000 2020 51"}
TOP_UP = {"amount": 10, "currency": "USD", "gateway": "manual"}
FREE, PRICE = Money(0, "USD"), Money(100, "USD")
UPLOADED = b"a file that is no W-Matrix"
# Where the version is that `If-Match` is about, by how its address begins.
VERSIONED = (
    "/api/agents/{agent_id}",
    "/api/payouts/{payout_id}",
    "/api/w-matrices/{listing_id}",
    "/api/webhooks/{webhook_id}",
    "/api/purchases/{sale_id}",
    "/api/reviews/{review_id}",
    "/api/disputes/{dispute_id}",
    *(f"/api/{path}/{{artefact_id}}" for path in PATHS.values()),
)
SOLD = "1f0b1b5e-0000-4000-8000-000000000001"  # the listing in the example of a quote, of somebody else
PURCHASE = "7d0c2a4e-0000-4000-8000-000000000001"  # the one in the examples of a review and of a dispute


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is: `token` and `session` are headers of one account, `places` and `fields` values by their names."""

    token: dict[str, str]
    session: dict[str, str]
    places: dict[str, tuple[Any, ...]]
    fields: dict[str, tuple[Any, ...]]
    guest: str
    files: tuple[bytes, ...]


def stocked() -> Stock:
    """Fill an empty database, through the commands and the API, with what a token of every scope may work on."""
    data_file.load([entry for entry in data_file.read_entries() if entry.name in MODELS])
    alice, bea = (User.objects.create_user(name) for name in ("alice", "bea"))
    alice.user_permissions.set(Permission.objects.filter(codename__in=["certify", "curate"]))
    agent, guest = (register_agent(user, Profile(f"{user}-labs", f"{user}"), metadata=BY).id for user in (alice, bea))
    token, secret = create_token(alice, name="fuzz", scopes=tuple(SCOPES), agent_id=agent)
    headers = {"Authorization": f"Bearer {secret}"}
    file, snapshot = io.BytesIO(), to_file(Given(memory(3)))
    w_matrix().write(file)
    top_up_by_hand(get_agent(agent), Money(1000, "USD"), reason="a test", metadata=BY)
    places = _places(Client(headers=headers, **LOCAL), agent, file.getvalue(), snapshot)
    places |= {"token_id": (token.id,), "agent_id": (agent, guest)}
    places["sale_id"] = _sales(agent, guest, file.getvalue())
    places["dispute_id"] = _disputed(agent, guest, file.getvalue())
    places["acceptance_id"] = _named(agent, guest)
    places["review_id"] = _reviewed(places["sale_id"][1], guest)
    fields = {
        "source_model": (sample.SOURCE, "gpt-4"),
        "target_model": (sample.TARGET, "qwen-7b"),
        "model_name": MODELS,
        "model": MODELS,
        "agent": (guest,),
        "memory": places["memory_id"],
        "domain": ("publisher.example",),
        "public_key": (base64.b64encode(bytes(32)).decode(),),
        "currency": ("USD",),
        "gateway": ("manual",),
        "after": (0, 1),
        "from": (1,),
        "to": (2,),
        "position": (1, 2),
        "version": ("1.0.0", "1.1.0"),
        "available": ("1.2.0",),
        "required": ("1.0.0",),
        "successor": ("1.0.0",),
        "item": (SOLD,),
        "purchase": (PURCHASE,),
        "seller": (agent, guest),
        "quote": (_quote(agent),),
        **{name: (value,) for name, value in WEBHOOK.items()},
    }
    return Stock(headers, _session(alice), places, fields, guest, (file.getvalue(), snapshot, UPLOADED))


def _places(client: Client, agent: str, file: bytes, snapshot: bytes) -> dict[str, tuple[Any, ...]]:
    offered, withdrawn, delisted, quarantined, private = (_listing(agent, file) for _ in range(5))
    by = By(agent, BY)
    yank_version(withdrawn, version="1.0.0", reason="a test", by=by)
    delist(delisted, reason="a test", by=by)
    quarantine_listing(quarantined, reason="a test", by=By(None, BY))
    change_access(private, access=Access.PRIVATE, by=by)
    open_rotation()
    seal_log()
    job = start(CERTIFY, arguments={}, requested_by="somebody")
    digest = f"sha256:{hashlib.sha256(UPLOADED).hexdigest()}"
    memory_id = _made(client, "/api/stored-memories", snapshot, CONTENT_TYPE)
    return {
        "listing_id": (offered, withdrawn, delisted, quarantined, private),
        "version": ("1.0.0",),
        "name": (sample.SOURCE, "gpt-4", "stable"),
        "number": (0, 1),
        "level": (0,),
        "index": ("000.p/1",),
        "job_id": (str(job.id),),
        "webhook_id": (_made(client, "/api/webhooks", WEBHOOK),),
        "upload_id": (_made(client, "/api/uploads", {"size": len(UPLOADED), "digest": digest}),),
        "stream_id": (_made(client, "/api/kv-cache/streams", {"model_name": sample.SOURCE}),),
        "top_up_id": (_made(client, "/api/top-ups", TOP_UP),),
        "payout_id": (_made(client, "/api/payouts", PAYOUT),),
        "memory_id": (memory_id,),
        "artefact_id": tuple(_artefacts(client, agent, memory_id)),
    }


def _sales(agent: str, guest: str, file: bytes) -> tuple[str, ...]:
    """Let the agent buy from the guest, and the guest from the agent; return the sales."""
    mine = _listing(agent, file)
    _listing(guest, file, listing_id=SOLD, price=PRICE)
    return _bought(SOLD, agent, sale=PURCHASE), _bought(mine, guest, sale=str(uuid4()))


def _bought(listing: str, buyer: str, *, sale: str) -> str:
    made = quoted(Kind.W_MATRIX, listing, delivery=Delivery(), buyer=buyer)
    return buy(sealed(replace(made.quote, id=sale)), buyer=Buyer(buyer), metadata=BY)[0]


def _disputed(agent: str, guest: str, file: bytes) -> tuple[str, ...]:
    """Let the agent dispute another purchase from the guest."""
    sale = _bought(_listing(guest, file, price=PRICE), agent, sale=str(uuid4()))
    row, kind = sale_of_party(sale, [agent]), DisputeKind.OTHER
    open_dispute(row, agent=agent, kind=kind, text="a test", at=timezone.now(), metadata=BY)
    return (sale,)


def _named(agent: str, guest: str) -> tuple[str, ...]:
    """Record that the agent has named texts, as if both models ran here."""
    promise = Promise("tokens-known", 256, "0.7300")
    texts = (f"sha256:{'0' * 64}",) * 8
    requested = AcceptanceRequested(agent, guest, SOLD, "1.0.0", "USD", promise, timezone.now(), texts)
    identifier = str(uuid4())
    store.append(store.New(ACCEPTANCE.stream(identifier), [requested]), metadata=BY)
    return (identifier,)


def _reviewed(sale: str, buyer: str) -> tuple[str, ...]:
    write_review(sale, agent=buyer, rating=3, text="as it says", metadata=BY)
    return (sale,)


def _quote(buyer: str) -> str:
    """Return a quote for the next major version of what the agent has bought the first one of."""
    sample.publish(SOLD, "2.0.0")
    return quoted(Kind.W_MATRIX, SOLD, version="2.0.0", delivery=Delivery(), buyer=buyer).token


def _artefacts(client: Client, agent: str, memory_id: str) -> Iterator[str]:
    """Yield the ids of one artefact of each kind, on sale, and of a memory that was withdrawn."""
    vectors = write_vectors(np.ones((2, 3), "f4"))
    sent = {
        "memories": {"memory": memory_id, "canary": 2},
        "reasoning-chains": {"memory": memory_id, "steps": [{"text": "So.", "end": 2}, {"text": "Yes.", "end": 4}]},
        "long-term-memories": {"segments": [{"memory": memory_id, "text": "A day.", "session": 1}]},
        "embeddings": {"upload": uploaded(client, vectors), "model": sample.SOURCE},
    }
    for path, body in sent.items():
        identifier = _made(client, f"/api/{path}", OFFER | body)
        screen(identifier)
        yield identifier
    withdrawn = on_sale(agent)
    withdraw(withdrawn, reason="a test", by=By(agent, BY))
    yield withdrawn


def _listing(agent: str, file: bytes, *, listing_id: str | None = None, price: Money = FREE) -> str:
    """Return a listing of the agent's that is certified today."""
    created = sample.listing_created(seller=agent, listing_id=listing_id or str(uuid4()), price=price)
    create_listing(created, metadata=BY)
    sample.publish(created.listing_id, quality=sample.with_suite(), content=file, unified_dimension=UNIFIED)
    certify_version(created.listing_id, version="1.0.0", at=timezone.now(), metadata=BY)
    return created.listing_id


def _made(client: Client, path: str, body: Any, content_type: str = "application/json") -> str:
    response = client.post(path, body, content_type)
    assert response.status_code == 201, response.content
    return str(response.json()["id"])


def _session(user: User) -> dict[str, str]:
    """Return the headers of a login, with the token against forged requests."""
    client, csrf = Client(), "c" * 32
    client.force_login(user)
    return {"Cookie": f"sessionid={client.cookies['sessionid'].value}; csrftoken={csrf}", "X-CSRFToken": csrf}


def document(stock: Stock, **options: Any) -> OpenApiSchema:
    """Return the document as schemathesis reads it; half of what is drawn from it names what is there.

    `options` are those of schemathesis' configuration.
    """
    checks = {"enabled": False} | {name: {"enabled": True} for name in CHECKS}
    config = SchemathesisConfig.from_dict({"checks": checks, "base-url": "http://localhost", **options})
    schemathesis.openapi.media_type(CONTENT_TYPE, st.sampled_from(stock.files) | st.binary(max_size=200))
    schemathesis.serializer(CONTENT_TYPE)(lambda _context, value: {"data": value})
    schema = schemathesis.openapi.from_wsgi("/api/schema", WSGIHandler(), config=config, headers={"Host": "localhost"})

    @schema.hook
    def flatmap_path_parameters(context: HookContext, drawn: dict[str, Any]) -> Any:
        return st.just(drawn) | _known(drawn, stock.places)

    @schema.hook
    def flatmap_query(context: HookContext, drawn: dict[str, Any]) -> Any:
        if drawn and "wait" in drawn:
            drawn = {**drawn, "wait": 0}
        return st.just(drawn) | _known(drawn, stock.fields)

    @schema.hook
    def flatmap_body(context: HookContext, drawn: Any) -> Any:
        return st.just(drawn) | _known(drawn, stock.fields)

    @schema.hook
    def flatmap_case(context: HookContext, case: Case) -> Any:
        return st.booleans().map(lambda seen: _as_last_seen(case, stock) if seen else case)

    @schema.auth()
    class Authentication:
        def get(self, case: Case, context: Any) -> dict[str, str]:
            return headers_for(case.operation.path, stock)

        def set(self, case: Case, data: dict[str, str], context: Any) -> None:
            case.headers = {**(case.headers or {}), **data}

    return schema


def headers_for(path: str, stock: Stock) -> dict[str, str]:
    """Return the headers that let a request in: a token's, but where only a login may do it."""
    return stock.session if path.startswith("/api/tokens") else stock.token


def _known(drawn: Any, there: Mapping[str, Sequence[Any]]) -> Any:
    """Return what draws the same with values that are there, where the names are known."""
    if not isinstance(drawn, dict):
        return st.just(drawn)
    return st.fixed_dictionaries(
        {name: st.sampled_from(there[name]) if name in there else st.just(value) for name, value in drawn.items()}
    )


def _as_last_seen(case: Case, stock: Stock) -> Case:
    """Return the request with the ETag of what it is about as `If-Match`, where it takes one and that is there."""
    about = next((each for each in VERSIONED if case.operation.path.startswith(each)), None)
    if about is None or "If-Match" not in (case.headers or {}):
        return case
    there = {name: quote(str(value), safe="") for name, value in case.path_parameters.items()}
    seen = Client(headers=stock.token, **LOCAL).get(about.format(**there))
    if "ETag" in seen:
        case.headers = {**case.headers, "If-Match": seen["ETag"]}
    return case
