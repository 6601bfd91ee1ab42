import pytest

from marketplace.accounts.secrets import new_token
from marketplace.screening.contents import PlacedText
from marketplace.screening.texts import MOST, findings_in

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
SEEN = {
    "a private key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "an API token of this marketplace": new_token()[1],
    "an AWS access key": "AKIA" + "IOSFODNN7EXAMPLE"[:16].replace("8", "A").replace("1", "B").replace("0", "C"),
    "a GitHub token": "ghp_" + "a1B2" * 9,
    "a GitLab token": "glpat-" + "a1B2c" * 4,
    "a Google API key": "AIza" + "a1B2c" * 7,
    "a Hugging Face token": "hf_" + "a1" * 17,
    "an npm token": "npm_" + "a1B2" * 9,
    "an OpenAI key": "sk-proj-" + "a1B2c" * 5 + "T3Blbk" + "FJ" + "a1B2c" * 5,
    "an Anthropic key": "sk-ant-" + "api03-" + "a1B2c" * 17,
    "a PyPI token": "pypi-AgE" + "IcHlwaS5vcmc" * 5,
    "a SendGrid key": "SG." + "a" * 22 + "." + "b" * 43,
    "a Slack token": "xoxb-" + "1234567890-abcdef",
    "a Stripe key": "sk_live_" + "a1B2" * 6,
    "an address with a password": "postgres://admin:hunter2" + "@localhost/x",
    "a signed token (JWT)": JWT,
    "an e-mail address": "ada.lovelace@analytical-engine.co.uk",
    "a payment card number": "4111 1111 1111 1111",
    "a bank account number (IBAN)": "DE89 3704 0044 0532 0130 00",
    "a telephone number": "+44 (20) 7946-0958",
}
HARMLESS = [
    "The private key is kept in a safe; PRIVATE KEY is a heading.",
    "write to someone@example.com, ops@mail.example.org or root@localhost",
    "4111 1111 1111 1112",  # the last digit is wrong
    "0000 0000 0000 0000",
    "DE89 3704 0044 0532 0130 01",  # the check digits are wrong
    "sha256:" + "4f" * 32,
    "eyJub3QiOiJhIGhlYWRlciJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",  # names no algorithm
    "https://example.com:8443/path?user=a@b",
    "1 + 2345678 = 2345679, about +3 % in 2024",
    "version 2.0.1, token ids 12045 33 4111 1111",
    "ghp_short and sk-learn and hf_hub",
]


@pytest.mark.parametrize(("what", "value"), SEEN.items(), ids=SEEN)
def test_it_names_kind_and_place_and_never_the_value(what, value):
    (finding,) = findings_in([PlacedText("step 3", f"As he said, {value} was it.")])
    assert finding == f"the step 3 seems to hold {what}, 12 characters in"
    assert value not in finding


@pytest.mark.parametrize("text", HARMLESS)
def test_it_lets_pass_what_only_looks_similar(text):
    assert findings_in([PlacedText("description", text)]) == ()


def test_several_of_a_kind_in_a_text_are_one_finding():
    text = "ada@engine.org, then bob@engine.org and eve@engine.org"
    assert findings_in([PlacedText("title", text)]) == (
        "the title seems to hold an e-mail address, 0 characters in, and 2 more",
    )


def test_of_very_many_findings_the_number_is_said():
    texts = [PlacedText(f"step {number}", "ada@engine.org") for number in range(1, MOST + 4)]
    found = findings_in(texts)
    assert len(found) == MOST + 1
    assert found[-1] == "there are 3 further findings of this sort"


def test_a_long_text_of_digits_is_read_in_no_time():
    assert findings_in([PlacedText("step 1", "1" * 200_000), PlacedText("step 2", "+1 " * 60_000)]) is not None
