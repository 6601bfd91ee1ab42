"""Recall lessons of the refinement: statements between the sentences of a text, asked for again behind it.

What a text is about survives a hand-over between models, a name or number said once often does not; ordinary text
rarely asks for one. Owners, subjects and wordings are none that a probe uses (`benchmarks.exchange.questions`).
"""

import random
import re

from factory.refinement.lessons import Stretch

RECALL_EVERY = 4  # lessons, of which one is for recall
STATEMENTS = 5
LONGEST = 1_300  # characters of the text between
BETWEEN = re.compile(r"(?<=[.!?;\n])\s+")
OWNERS = (
    *("the Marlowe workshop", "Captain Ferrer", "the Oakdale library", "Mrs Abernathy", "the ferry company"),
    *("Dr Quist", "the night porter", "the Halvorsen brothers", "old Tamsin", "the choir of Redmere"),
)
# Statement, how it is asked for again, and what it may say.
KINDS = (
    (
        "For the spare key, {who} uses a hiding place under the {what}.",
        "Where does {who} hide the spare key? Under the {what}.",
        ("flowerpot", "doormat", "woodpile", "statue", "bench", "barrel", "ladder", "staircase"),
    ),
    (
        "A ticket from {who} costs {what} crowns.",
        "How many crowns does {who} ask for a ticket? {what} crowns.",
        ("three", "seven", "eleven", "fourteen", "twenty", "thirty", "sixty", "ninety"),
    ),
    (
        "On {what}s {who} never opens the door to anybody.",
        "On which day does {who} never open the door? On {what}s.",
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ),
    (
        "With every meal {who} serves a bowl of {what}.",
        "What does {who} serve with every meal? A bowl of {what}.",
        ("soup", "olives", "cherries", "rice", "walnuts", "beans", "honey", "pickles"),
    ),
    (
        "The roof of the boat that belongs to {who} is made of {what}.",
        "Of what is the roof of the boat of {who} made? Of {what}.",
        ("copper", "canvas", "oak", "glass", "straw", "leather", "slate", "tin"),
    ),
)


def for_recall(stretch: Stretch, generator: random.Random) -> Stretch:
    """Return a stretch whose context holds statements between its sentences, and whose text asks for each again."""
    sentences = BETWEEN.split(stretch.context[:LONGEST])
    said = zip(generator.sample(OWNERS, STATEMENTS), generator.sample(KINDS, STATEMENTS), strict=True)
    filled = [(kind, {"who": who, "what": generator.choice(kind[2])}) for who, kind in said]
    for (statement, _, _), words in filled:
        sentences.insert(generator.randrange(len(sentences) + 1), _sentence(statement, words))
    asked = [_sentence(question, words) for (_, question, _), words in filled]
    generator.shuffle(asked)
    return Stretch(" ".join(sentences), "\n\n" + "\n".join(asked))


def _sentence(form: str, words: dict[str, str]) -> str:
    text = form.format(**words)
    return text[0].upper() + text[1:]
