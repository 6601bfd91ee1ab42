"""A memory whose text is on record in the target's tokens is delivered in them; else the reason is said."""

from datetime import timedelta

import numpy as np
import pytest

from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.target_file import arrays_of, write_target_tokens
from latentmas import blobs
from latentmas.blobs.sweeping import sweep
from latentmas.protocol.long_term_memory import read_selection
from latentmas.protocol.quality import ModelIdentity
from latentmas.protocol.reasoning_chain import read_chain
from latentmas.protocol.snapshot import read_snapshot
from marketplace.artefacts.models import ArtefactVersion, Retokenised
from marketplace.artefacts.retokenising import TokensMade, memories_of, record_no_tokens, record_tokens
from marketplace.sales.goods import Kind
from tests.marketplace.artefacts.buying import downloaded, quoted, used
from tests.marketplace.sample import TARGET

pytestmark = pytest.mark.django_db
WEIGHTS = ModelIdentity(TARGET, "sha256:" + "b" * 64)  # the sample's W-Matrix is for these
ALIGNED = {"form": "aligned", "target_model": TARGET}
BOS, FIRST_ID = 2, 100
OLD = timedelta(seconds=-2)  # whatever is there counts as old


def tokens_for(count: int) -> TokensMade:
    """The text of `count` of the source's tokens, two characters each, in tokens of three characters."""
    spans = [(at, min(at + 3, 2 * count)) for at in range(0, 2 * count, 3)]
    tokens = TargetTokens(
        np.array([(0, 0), *spans]),
        ids=np.array([BOS, *range(FIRST_ID, FIRST_ID + len(spans))]),
        source_spans=np.array([(2 * at, 2 * at + 2) for at in range(count)]),
    )
    return TokensMade(write_target_tokens(arrays_of(tokens)), len(spans), 1)


def memories(card) -> list[str]:
    version = ArtefactVersion.objects.get(artefact_id=card["id"])
    return memories_of(version, Kind(card["kind"]))


def test_a_memory_comes_in_the_targets_tokens_and_the_quote_says_so(raw, bea, mapped):
    record_tokens(*memories(raw), WEIGHTS, tokens_for(9))
    assert quoted(bea, raw, **ALIGNED).json()["mode"] == "tokens-known"
    purchase = used(bea, raw, **ALIGNED).json()
    frame = read_snapshot(downloaded(bea, purchase))[0].frame
    np.testing.assert_array_equal(frame.token_ids, [BOS, *range(FIRST_ID, FIRST_ID + 6)])
    assert frame.next_position == 7
    report = purchase["report"]
    assert (report["mode"], report["quality"]["mode"]) == ("tokens-known", "tokens-known")
    assert (report["source_tokens_kept"], report["untrusted_tokens"]) == (None, 7)
    assert report["quality"]["retention"] == "0.75"  # the suite's worst register with tokens known


def test_it_costs_what_it_costs_in_its_own_tokens(raw, bea, mapped):
    prices = [used(bea, raw, **ALIGNED).json()["price"]]
    record_tokens(*memories(raw), WEIGHTS, tokens_for(9))
    assert used(bea, raw, **ALIGNED).json()["price"] == prices[0]


def test_without_tokens_its_own_are_kept_and_the_report_says_why(raw, bea, mapped):
    assert quoted(bea, raw, **ALIGNED).json()["mode"] == "source-tokens"
    report = used(bea, raw, **ALIGNED).json()["report"]
    assert (report["mode"], report["untrusted_tokens"]) == ("source-tokens", 10)
    assert "has not been read" in report["source_tokens_kept"]
    record_no_tokens(*memories(raw), WEIGHTS, reason="the file does not say which tokens the memory is of")
    report = used(bea, raw, **ALIGNED).json()["report"]
    assert report["source_tokens_kept"] == "the file does not say which tokens the memory is of"


def test_tokens_of_other_weights_than_the_w_matrixs_are_not_used(raw, bea, mapped):
    record_tokens(*memories(raw), ModelIdentity(TARGET, "sha256:" + "d" * 64), tokens_for(9))
    assert quoted(bea, raw, **ALIGNED).json()["mode"] == "source-tokens"
    assert used(bea, raw, **ALIGNED).json()["report"]["mode"] == "source-tokens"


def test_a_quote_of_another_form_has_no_mode(raw, bea, mapped):
    record_tokens(*memories(raw), WEIGHTS, tokens_for(9))
    assert quoted(bea, raw, form="raw").json()["mode"] is None


def test_a_cropped_chain_keeps_the_tokens_whose_text_had_ended(chain, bea, mapped):
    record_tokens(*memories(chain), WEIGHTS, tokens_for(9))
    purchase = used(bea, chain, **ALIGNED, after_step=1).json()  # BOS and three tokens: six characters
    frame = read_snapshot(read_chain(downloaded(bea, purchase)).memory)[0].frame
    assert frame.offsets.tolist() == [[0, 0], [0, 3], [3, 6]]
    assert (frame.next_position, purchase["report"]["mode"], purchase["tokens"]) == (3, "tokens-known", 4)


def test_each_segment_comes_in_the_tokens_that_are_known_of_it(long_term, bea, mapped):
    first, second = memories(long_term)
    record_tokens(first, WEIGHTS, tokens_for(5))
    record_no_tokens(second, WEIGHTS, reason="no ids")
    assert quoted(bea, long_term, **ALIGNED).json()["mode"] is None
    purchase = used(bea, long_term, **ALIGNED).json()
    found = [read_snapshot(each.memory)[0].frame for each in read_selection(downloaded(bea, purchase))]
    assert [frame.token_ids is None for frame in found] == [False, True]
    assert [each["mode"] for each in purchase["report"]["segments"]] == ["tokens-known", "source-tokens"]
    assert purchase["tokens"] == 14
    record_tokens(second, WEIGHTS, tokens_for(7))
    assert quoted(bea, long_term, **ALIGNED).json()["mode"] == "tokens-known"


def test_the_card_says_for_which_models(long_term, client, mapped):
    first, second = memories(long_term)
    record_tokens(first, WEIGHTS, tokens_for(5))
    told = {"model": TARGET, "weights": WEIGHTS.weights, "known": False, "reason": "1 of its 2 segments wait"}
    assert client.get(long_term["url"]).json()["versions"][0]["target_tokens"] == [told]
    record_tokens(second, WEIGHTS, tokens_for(7))
    told |= {"known": True, "reason": None}
    assert client.get(long_term["url"]).json()["versions"][0]["target_tokens"] == [told]


def test_the_platform_earns_the_share_of_its_own_w_matrix(raw, bea, mapped):
    purchase = used(bea, raw, **ALIGNED).json()
    (share,) = [each for each in purchase["shares"] if each["recipient"] == "helper"]
    assert (share["agent"], share["item"], share["amount"]) == (None, mapped, purchase["price"]["amount"] // 10)
    assert sum(each["amount"] for each in purchase["shares"]) == purchase["price"]["amount"]


def test_the_files_stay_as_long_as_they_are_on_record(own_files, raw):
    record_tokens(*memories(raw), WEIGHTS, tokens_for(9))
    digest = Retokenised.objects.get().file_digest
    sweep(older_than=OLD)
    assert blobs.exists(digest)
    Retokenised.objects.all().delete()
    sweep(older_than=OLD)
    assert not blobs.exists(digest)
