"""Personal data in a text: addresses and numbers that can be told from their form and their check digits."""

import re
from collections.abc import Iterator

from marketplace.screening.credentials import Sighting

EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-])", re.ASCII)
NOBODYS = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$", re.IGNORECASE)  # RFC 2606
CARD = re.compile(r"(?<![\w.+-])[2-6]\d{3}(?:[ -]?\d){8,14}\d(?![\w-])", re.ASCII)
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", re.ASCII)
PHONE = re.compile(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}\d){7,14}(?!\d)", re.ASCII)
IBAN_LENGTHS = range(15, 35)
GROUPS = re.compile(r"[ -]")


def personal_data_in(text: str) -> Iterator[Sighting]:
    """Yield the addresses and numbers of persons that a text seems to hold."""
    for found in EMAIL.finditer(text):
        if not NOBODYS.search(found[1]):
            yield Sighting("an e-mail address", found.start())
    for found in IBAN.finditer(text):
        if has_iban_check(GROUPS.sub("", found[0])):
            yield Sighting("a bank account number (IBAN)", found.start())
    for found in CARD.finditer(IBAN.sub(lambda account: "." * len(account[0]), text)):
        if has_card_check(GROUPS.sub("", found[0])):
            yield Sighting("a payment card number", found.start())
    for found in PHONE.finditer(text):
        yield Sighting("a telephone number", found.start())


def has_card_check(digits: str) -> bool:
    """Return whether the last digit is right by Luhn's formula (ISO/IEC 7812); all digits the same never are."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def has_iban_check(number: str) -> bool:
    """Return whether the check digits are right (ISO 13616): 1 modulo 97."""
    moved = number[4:] + number[:4]
    return len(number) in IBAN_LENGTHS and int("".join(str(int(each, 36)) for each in moved)) % 97 == 1
