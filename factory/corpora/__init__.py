"""Text to calibrate, select and measure on: corpora, registers of natural text, and the evaluation suite.

A hash decides each document's split, so splits are the same on every machine. `data/corpora.json` lists the SHA-256 and
length of every document of the corpora that come with the product.
"""

from factory.corpora.broad import BROAD as BROAD
from factory.corpora.documents import SPLIT_BOUNDS as SPLIT_BOUNDS
from factory.corpora.documents import Document as Document
from factory.corpora.documents import Split as Split
from factory.corpora.documents import TextCorpus as TextCorpus
from factory.corpora.known import KnownCorpus as KnownCorpus
from factory.corpora.known import corpus_with as corpus_with
from factory.corpora.known import known_corpora as known_corpora
from factory.corpora.loading import BOTH as BOTH
from factory.corpora.loading import LEE as LEE
from factory.corpora.loading import WIKIPEDIA as WIKIPEDIA
from factory.corpora.loading import load_corpus as load_corpus
from factory.corpora.samples import MARKUP as MARKUP
