"""Which events' bodies a proof may show. The tree itself is public: of a private event it holds digests only."""

from collections.abc import Callable

from latentmas.events.types import Recorded

MayShow = Callable[[Recorded], bool]

_RULES: dict[str, MayShow] = {}


def disclosed(event_type: str) -> Callable[[MayShow], MayShow]:
    """Register the rule that says which events of a type are everybody's to read; without one, none is."""

    def register(rule: MayShow) -> MayShow:
        if event_type in _RULES:
            raise ValueError(f"{event_type!r} has two rules of disclosure")
        _RULES[event_type] = rule
        return rule

    return register


for _type in ("key.created", "key.retired", "key.revoked"):
    disclosed(_type)(lambda event: True)


def is_disclosed(event_type: str, read: Callable[[], Recorded]) -> bool:
    """Return whether the event that `read` gives may be shown; it is only read where its type has a rule."""
    rule = _RULES.get(event_type)
    return rule is not None and rule(read())
