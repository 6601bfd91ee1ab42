from factory.corpora.digests import news_digests
from factory.corpora.documents import Document, digest_of


def items(count: int) -> list[Document]:
    texts = [f"Item {number}: " + "something happened. " * (5 + number % 11) for number in range(count)]
    return [Document(text, digest_of(text)) for text in texts]


def test_every_item_is_in_one_digest() -> None:
    found = news_digests(items(60), count=8)
    assert len(found) == 8
    assert sorted(part for digest in found for part in digest.text.split("\n\n")) == sorted(
        item.text for item in items(60)
    )


def test_digests_are_about_equally_long() -> None:
    lengths = [len(digest.text) for digest in news_digests(items(60), count=8)]
    assert max(lengths) < 1.1 * min(lengths)


def test_a_digest_has_the_smallest_group_of_its_items_and_is_the_same_in_any_order() -> None:
    found = news_digests(items(20), count=3)
    assert found == news_digests(list(reversed(items(20))), count=3)
    for digest in found:
        assert digest.group == min(digest_of(part) for part in digest.text.split("\n\n"))


def test_of_near_duplicates_one_is_taken() -> None:
    first, second, *others = sorted(items(12), key=lambda item: item.digest)
    (found,) = news_digests([first, Document(second.text, second.digest, first.digest), *others], count=1)
    assert first.text in found.text
    assert second.text not in found.text
