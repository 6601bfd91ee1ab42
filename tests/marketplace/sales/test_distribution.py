"""A price is divided without losing or making a minor unit, whoever has a claim to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money, Split
from marketplace.ledger.accounts import validators
from marketplace.pricing.configuration import Configuration
from marketplace.sales.distribution import Recipient, shares_of
from marketplace.sales.goods import Helper, Kind, Offer, Royalty

USUAL = Configuration()
SPLIT = Split(80, 15, 5)


def offer(split: Split = SPLIT, *, by: int = 0, royalties: tuple[int, ...] = ()) -> Offer:
    return Offer(
        kind=Kind.MEMORY,
        item="toy",
        version="1.0.0",
        digest="sha256:" + "a" * 64,
        seller="maker",
        price=Money(1, "USD"),
        split=split,
        validators=tuple(f"validator-{n}" for n in range(by)),
        royalties=tuple(Royalty(f"ancestor-{n}", f"item-{n}", points) for n, points in enumerate(royalties)),
    )


splits = st.integers(0, 100).flatmap(
    lambda creator: st.integers(0, 100 - creator).map(lambda rest: Split(creator, rest, 100 - creator - rest))
)
helpers = st.none() | st.sampled_from([Helper(owner, "listing", "1.0.0") for owner in ("owner", None)])


@given(st.integers(0, 10**12), splits, st.integers(0, 4), st.lists(st.integers(0, 10_000), max_size=5), helpers)
def test_the_shares_add_up_and_the_creator_keeps_half_of_his(
    price: int, split: Split, by: int, royalties: list[int], helper: Helper | None
) -> None:
    shares = shares_of(price, offer(split, by=by, royalties=tuple(royalties)), USUAL, helper=helper)
    assert sum(each.amount for each in shares) == price
    assert all(each.amount > 0 for each in shares)
    others = sum(each.amount for each in shares if each.recipient in (Recipient.ROYALTY, Recipient.HELPER))
    creator = sum(each.amount for each in shares if each.recipient is Recipient.CREATOR)
    assert others <= creator
    assert abs((creator + others) * 100 - price * split.creator) < 100


def test_without_an_independent_validator_their_share_is_nobodys_yet() -> None:
    (share,) = (each for each in shares_of(1000, offer(), USUAL, helper=None) if each.recipient is Recipient.VALIDATOR)
    assert (share.account, share.amount) == (validators("USD"), 50)


def test_claims_beyond_half_of_the_creators_share_are_scaled_down_together() -> None:
    shares = shares_of(1000, offer(royalties=(3_000, 2_000)), USUAL, helper=Helper("owner", "listing", "1.0.0"))
    found = {each.account.split(":")[1]: each.amount for each in shares}
    assert {name: found[name] for name in ("maker", "ancestor-0", "ancestor-1", "owner")} == {
        "maker": 400,
        "ancestor-0": 200,
        "ancestor-1": 133,
        "owner": 67,
    }


def test_a_split_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput):
        shares_of(1000, offer(Split(0, 0, 0)), USUAL, helper=None)
