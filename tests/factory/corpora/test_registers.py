import pytest

from factory.corpora import load_corpus
from factory.corpora.documents import digest_of
from factory.corpora.registers import NATURAL, REGISTERS, documents_of, origins_of, texts_of
from latentmas.protocol.errors import InvalidInput

COUNTS = {"news": 343, "encyclopaedia": 106, "speeches": 124, "code": 1_374, "reference": 3_347, "readmes": 89}
COUNTS |= {"headers": 616, "licences": 100}


def test_all_registers_but_sampled_text_are_natural() -> None:
    assert set(REGISTERS) - set(NATURAL) == {"sampled"}


def test_it_names_the_registers_that_there_are() -> None:
    with pytest.raises(InvalidInput, match="no register 'poetry'; there are news, encyclopaedia, speeches"):
        texts_of("poetry")


@pytest.mark.models  # the texts come with optional dependencies
@pytest.mark.parametrize("name", NATURAL)
def test_the_texts_of_a_register_are_distinct_and_stripped(name: str) -> None:
    texts = texts_of(name)
    assert len(set(texts)) == len(texts) == COUNTS[name]
    assert all(text == text.strip() for text in texts)
    assert [document.digest for document in documents_of(name)] == sorted(map(digest_of, texts))


@pytest.mark.models  # the texts come with an optional dependency
def test_news_and_articles_have_the_splits_that_they_have_in_their_corpora() -> None:
    news = {document.digest: document.split for document in documents_of("news")}
    assert all(news[document.digest] is document.split for document in load_corpus("lee").documents)
    articles = {document.digest: document.split for document in load_corpus("wikipedia").documents}
    groups = {each.text: each.whole for each in origins_of("encyclopaedia")}
    assert all(document.split is articles[groups[document.text]] for document in documents_of("encyclopaedia"))


@pytest.mark.models  # the texts come with an optional dependency
def test_articles_end_before_their_lists_of_links() -> None:
    assert not any("\nExternal links\n" in text for text in texts_of("encyclopaedia"))
    assert sum(map(len, texts_of("encyclopaedia"))) > 2_500_000
