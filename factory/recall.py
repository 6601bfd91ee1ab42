"""What both trainings teach of recall: statements between the sentences of a text, asked for again behind it.

What a text is about survives a hand-over between models, a name or number said once often does not; ordinary text
rarely asks for one. Owners, subjects and wordings are none that a probe uses (`benchmarks.exchange.questions`).
"""

import random
import re
from collections.abc import Sequence

BETWEEN = re.compile(r"(?<=[.!?;\n])\s+")
NAMELESS = (
    *("the Marlowe workshop", "the Oakdale library", "the ferry company", "the night porter", "the Halvorsen brothers"),
    *("the choir of Redmere", "the bakery by the bridge", "the younger apprentice", "the lighthouse keeper"),
)
TITLES = ("Captain", "Mrs", "Dr", "old", "Aunt", "Judge", "Miss", "Father", "little", "Professor")
BEGINNINGS = (
    *("Aber", "Bern", "Corr", "Dal", "El", "Fen", "Gar", "Ister"),
    *("Kel", "Lor", "Mar", "Nor", "Pel", "Quis", "Ver"),
)
ENDINGS = (
    *("berg", "din", "ett", "gren", "ham", "kins", "low", "mann"),
    *("nard", "ovic", "rick", "son", "ton", "wick", "zel"),
)
# Statement, how it is asked for again, and what it may say; `None` for a name or number that is made up.
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
    (
        "From the shipwreck {who} brought nothing home but a {what}.",
        "What did {who} save from the shipwreck? A {what}.",
        ("compass", "lantern", "teapot", "mirror", "clock", "necklace", "sword", "bell"),
    ),
    (
        "Nobody has ever seen {who} travel other than by {what}.",
        "How does {who} always travel? By {what}.",
        ("tram", "sledge", "canoe", "bicycle", "balloon", "steamer", "coach", "raft"),
    ),
    (
        "Behind the mill there stands a {what} that {who} planted.",
        "Which tree did {who} plant behind the mill? A {what}.",
        ("willow", "pear", "maple", "cedar", "poplar", "chestnut", "lime", "yew"),
    ),
    (
        "The guard let {who} pass at the word '{what}'.",
        "What did {who} say to the guard? '{what}'.",
        ("thunder", "velvet", "marble", "harvest", "feather", "island", "whistle", "ember", "anchor", "mirage"),
    ),
    (
        "At the races, to everybody's surprise, {who} came in {what}.",
        "In which place did {who} come in at the races? {what}.",
        ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    ),
    (
        "Ever since childhood {who} has had to stay away from {what}.",
        "What must {who} stay away from? From {what}.",
        ("pollen", "dust", "wool", "shellfish", "eggs", "milk", "bees", "smoke"),
    ),
    (
        "This winter {who} sits over a grammar of {what}.",
        "Which language does {who} learn this winter? {what}.",
        ("Finnish", "Greek", "Swahili", "Hindi", "Turkish", "Welsh", "Korean", "Arabic", "Latin", "Danish"),
    ),
    (
        "All of the prize money went into a {what} for {who}.",
        "What did {who} buy with the prize money? A {what}.",
        ("telescope", "tractor", "carpet", "sculpture", "greenhouse", "tent", "wardrobe", "fountain"),
    ),
    (
        "In chess there is but one rival whom {who} fears, a certain {what}.",
        "Whom does {who} fear in chess? {what}.",
        None,
    ),
    (
        "The letters for {who} lie in a locker that {what} opens.",
        "With which number does the locker of {who} open? With {what}.",
        tuple(str(number) for number in range(1013, 9973, 131)),
    ),
)


def statements(count: int, generator: random.Random) -> list[tuple[str, str]]:
    """Return statements of different kinds about different owners, each with its question and answer."""
    said: dict[str, tuple[str, str]] = {}
    for form, question, values in generator.sample(KINDS, count):
        while (who := _owner(generator)) in said:
            pass  # somebody of whom something is said already
        words = {"who": who, "what": _name(generator) if values is None else generator.choice(values)}
        said[who] = _sentence(form, words), _sentence(question, words)
    return list(said.values())


def between(text: str, said: Sequence[tuple[str, str]], generator: random.Random) -> str:
    """Return the text with the statements between its sentences."""
    sentences = BETWEEN.split(text)
    for statement, _ in said:
        sentences.insert(generator.randrange(len(sentences) + 1), statement)
    return " ".join(sentences)


def asked(said: Sequence[tuple[str, str]], generator: random.Random) -> str:
    """Return the text that asks for each statement again, in another order."""
    questions = [question for _, question in said]
    return "\n\n" + "\n".join(generator.sample(questions, len(questions)))


def _owner(generator: random.Random) -> str:
    if generator.random() < 0.25:
        return generator.choice(NAMELESS)
    return f"{generator.choice(TITLES)} {_name(generator)}"


def _name(generator: random.Random) -> str:
    return generator.choice(BEGINNINGS) + generator.choice(ENDINGS)


def _sentence(form: str, words: dict[str, str]) -> str:
    text = form.format(**words)
    return text[0].upper() + text[1:]
