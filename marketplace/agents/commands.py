"""Every write to an agent's account. Each command appends to the stream `agent/<id>` or raises and changes nothing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import IntegrityError

from latentmas.events.commands import execute
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.commitments import commitment, new_salt
from latentmas.protocol.errors import Conflict, InvalidInput
from marketplace.agents import aggregate
from marketplace.agents.aggregate import AGENT, AgentState
from marketplace.agents.events import AgentRegistered, SuspensionReason, WithdrawalReason
from marketplace.agents.models import MAX_DESCRIPTION, MAX_DISPLAY_NAME, MAX_HANDLE, Agent, AgentProfile
from marketplace.agents.queries import owner_name

MAX_AGENTS = 10  # of one login
HANDLE = re.compile(rf"(?!.*--)[a-z0-9][a-z0-9-]{{1,{MAX_HANDLE - 2}}}[a-z0-9]", re.ASCII)
T = TypeVar("T")
Decide = Callable[[AgentState], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Profile:
    """What people read about an agent; the handle is unique."""

    handle: str
    display_name: str
    description: str = ""


def register_agent(owner: User, profile: Profile, *, metadata: Metadata) -> Agent:
    """Open an agent's account for a login, and return it. Raises InvalidInput, or Conflict for a taken handle."""
    _check(profile)
    agent_id, salt = str(uuid4()), new_salt()
    registered = AgentRegistered(agent_id, owner_name(owner), _committed(profile, salt))

    def work() -> Agent:
        if Agent.objects.filter(owner=registered.owner).count() >= MAX_AGENTS:
            raise Conflict(f"this login has {MAX_AGENTS} agents, the limit")
        execute(AGENT, agent_id, lambda state: aggregate.decide_register(state, registered), metadata=metadata)
        _write(agent_id, profile, salt)
        return Agent.objects.get(id=agent_id)

    return _naming(profile, work)


def change_profile(
    agent_id: str, profile: Profile, *, metadata: Metadata, expected: int | None = None
) -> list[Recorded]:
    """Replace handle, name and description; the same again records nothing.

    Raises NotFound, AgentIsSuspended, InvalidInput, Conflict for a taken handle, or VersionConflict.
    """
    _check(profile)
    salt = new_salt()

    def work() -> list[Recorded]:
        row = AgentProfile.objects.select_for_update().filter(agent_id=agent_id).first()
        same = row is not None and Profile(row.handle, row.display_name, row.description) == profile
        recorded = _execute(
            agent_id,
            lambda state: () if same else aggregate.decide_profile(state, profile=_committed(profile, salt)),
            metadata=metadata,
            expected=expected,
        )
        if not same:
            _write(agent_id, profile, salt)
        return recorded

    return _naming(profile, work, conflicts=expected is None)


def erase_profile(agent_id: str, *, metadata: Metadata) -> list[Recorded]:
    """Delete what was written about an agent, and with it the salt of its commitments. Raises NotFound."""

    def work() -> list[Recorded]:
        AgentProfile.objects.filter(agent_id=agent_id).delete()
        return _execute(agent_id, aggregate.decide_erase, metadata=metadata)

    return transact(work)


def register_key(agent_id: str, *, public_key: str, metadata: Metadata, expected: int | None = None) -> list[Recorded]:
    """Let the agent sign with an Ed25519 key, given as base64; a key that it has records nothing.

    Raises NotFound, AgentIsSuspended, InvalidInput, Conflict or VersionConflict.
    """
    return _execute(
        agent_id,
        lambda state: aggregate.decide_key(state, public_key=public_key),
        metadata=metadata,
        expected=expected,
    )


def revoke_key(agent_id: str, *, key_id: str, metadata: Metadata, expected: int | None = None) -> list[Recorded]:
    """Revoke a key of the agent's, registered or of its domain, for good. Raises NotFound or VersionConflict."""
    return _execute(
        agent_id,
        lambda state: aggregate.decide_revoke_key(state, key_id=key_id),
        metadata=metadata,
        expected=expected,
    )


def verify_publisher(agent_id: str, *, domain: str, public_keys: Sequence[str], metadata: Metadata) -> list[Recorded]:
    """Record that the domain's document, which the caller has fetched, names the agent and these keys.

    Raises NotFound, AgentIsSuspended or InvalidInput.
    """
    return _execute(
        agent_id,
        lambda state: aggregate.decide_verify(state, domain=domain, public_keys=public_keys),
        metadata=metadata,
    )


def withdraw_verification(
    agent_id: str, *, reason: WithdrawalReason, metadata: Metadata, expected: int | None = None
) -> list[Recorded]:
    """End the agent's being a verified publisher. Raises NotFound, Conflict or VersionConflict."""
    return _execute(
        agent_id,
        lambda state: aggregate.decide_withdraw(state, reason=reason),
        metadata=metadata,
        expected=expected,
    )


def suspend_agent(agent_id: str, *, reason: SuspensionReason, metadata: Metadata) -> list[Recorded]:
    """Keep the agent from acting. Raises NotFound."""
    return _execute(agent_id, lambda state: aggregate.decide_suspend(state, reason=reason), metadata=metadata)


def reinstate_agent(agent_id: str, *, metadata: Metadata) -> list[Recorded]:
    """Let a suspended agent act again. Raises NotFound."""
    return _execute(agent_id, aggregate.decide_reinstate, metadata=metadata)


def _execute(agent_id: str, decide: Decide, *, metadata: Metadata, expected: int | None = None) -> list[Recorded]:
    return execute(AGENT, agent_id, decide, metadata=metadata, expected=expected)


def _naming(profile: Profile, work: Callable[[], T], *, conflicts: bool = True) -> T:
    """Run work that writes the profile in one transaction. Raises Conflict where another agent has its handle."""
    try:
        return transact(work, conflicts=conflicts)
    except IntegrityError as error:
        if AgentProfile.objects.filter(handle=profile.handle).exists():
            raise Conflict(f"the handle {profile.handle!r} is taken", field="handle") from error
        raise


def _write(agent_id: str, profile: Profile, salt: str) -> None:
    AgentProfile.objects.update_or_create(agent_id=agent_id, defaults={**asdict(profile), "salt": salt})


def _committed(profile: Profile, salt: str) -> str:
    return commitment(asdict(profile), salt=salt)


def _check(profile: Profile) -> None:
    if HANDLE.fullmatch(profile.handle) is None:
        raise InvalidInput(
            f"{profile.handle[:60]!r} is no handle: 3 to {MAX_HANDLE} lower-case letters, digits and single hyphens",
            field="handle",
        )
    if not 1 <= len(profile.display_name.strip()) <= MAX_DISPLAY_NAME:
        raise InvalidInput(f"display_name must have 1 to {MAX_DISPLAY_NAME} characters", field="display_name")
    if len(profile.description) > MAX_DESCRIPTION:
        raise InvalidInput(f"description must have at most {MAX_DESCRIPTION} characters", field="description")
