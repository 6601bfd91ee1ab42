"""Configuration fails loudly: a wrong value stops the start and says what would be right."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from latentmas import environment as env
from latentmas import extras


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("yes", True), ("Off", False), ("false", False), ("", True)]
)
def test_a_boolean_is_read(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("FLAG", value)
    assert env.boolean("FLAG", True) is expected


def test_a_wrong_boolean_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAG", "maybe")
    with pytest.raises(ImproperlyConfigured, match="FLAG is 'maybe'; it must be one of"):
        env.boolean("FLAG", True)


@pytest.mark.parametrize(("value", "reason"), [("ten", "must be a whole number"), ("3", "must be at least 5")])
def test_a_wrong_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, reason: str) -> None:
    monkeypatch.setenv("SIZE", value)
    with pytest.raises(ImproperlyConfigured, match=reason):
        env.integer("SIZE", 10, minimum=5)


def test_a_rate_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.rate("RATE", "300/minute") == (300, 60)
    monkeypatch.setenv("RATE", "off")
    assert env.rate("RATE", "300/minute") is None


@pytest.mark.parametrize("value", ["300", "0/minute", "-1/minute", "x/minute", "3/fortnight", "3.5/minute", "²/minute"])
def test_a_wrong_rate_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RATE", value)
    with pytest.raises(ImproperlyConfigured, match="it must be off, or like 300/minute"):
        env.rate("RATE", "300/minute")


def test_a_word_outside_its_choices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "staging")
    with pytest.raises(ImproperlyConfigured, match="must be one of local, production"):
        env.text("ENVIRONMENT", "local", choices=("local", "production"))


def test_a_list_is_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTS", "a.example, b.example,,")
    assert env.words("HOSTS", []) == ["a.example", "b.example"]


def test_a_folder_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "file" / "below"))
    with pytest.raises(ImproperlyConfigured, match="cannot be created"):
        env.folder("DATA_DIR", tmp_path)


def test_a_local_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = env.secret("ABSENT_SECRET", fallback_file=path)
    assert env.secret("ABSENT_SECRET", fallback_file=path) == first
    assert len(first) > 50
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("MY_SECRET_FILE", str(tmp_path / "secret"))
    assert env.secret("MY_SECRET", fallback_file=None) == "from a file"


def test_an_optional_secret_may_be_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert env.optional_secret("STRIPE_SECRET_KEY") is None
    (tmp_path / "key").write_text("sk_test_of_a_file\n")
    monkeypatch.setenv("STRIPE_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert env.optional_secret("STRIPE_SECRET_KEY") == "sk_test_of_a_file"
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test")
    assert env.optional_secret("STRIPE_SECRET_KEY") == "sk_test"


def test_older_secrets_come_from_a_variable_or_from_the_lines_of_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "older").write_text("one\n\ntwo\n")
    assert env.secrets("OLDER") == []
    monkeypatch.setenv("OLDER_FILE", str(tmp_path / "older"))
    assert env.secrets("OLDER") == ["one", "two"]
    monkeypatch.setenv("OLDER", "three, four")
    assert env.secrets("OLDER") == ["three", "four"]


@pytest.mark.parametrize("read", [lambda: env.secret("ABSENT", fallback_file=None), lambda: env.secrets("ABSENT")])
def test_a_secrets_file_that_cannot_be_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: Callable[[], object]
) -> None:
    monkeypatch.setenv("ABSENT_FILE", str(tmp_path / "absent"))
    with pytest.raises(ImproperlyConfigured, match=r"ABSENT_FILE is .*, which cannot be read"):
        read()


def test_a_session_of_an_older_key_lives_on_while_the_key_is_a_fallback(
    client: Client, alice: User, settings: Settings
) -> None:
    client.force_login(alice)
    older = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key", [older]
    assert client.get("/api/tokens").status_code == 200
    client.force_login(alice)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another new key", [older]
    assert client.get("/api/tokens").status_code == 401


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"ENVIRONMENT": "production"}, "SECRET_KEY must be set when ENVIRONMENT=production"),
        ({"ENVIRONMENT": "production", "SECRET_KEY": "x" * 60, "DEBUG": "1"}, "DEBUG must be off"),
        ({"MAX_JSON_BYTES": "lots"}, "MAX_JSON_BYTES is 'lots'"),
        ({"BLOBS_CDN_URL": "https://cdn.example"}, "BLOBS_CDN_URL is set and BLOBS_S3_BUCKET is not"),
        ({"BLOBS_S3_ENDPOINT_URL": "http://minio:9000"}, "BLOBS_S3_ENDPOINT_URL is set and BLOBS_S3_BUCKET is not"),
        ({"BLOBS_S3_BUCKET": "files", "BLOBS_CDN_URL": "cdn.example"}, "BLOBS_CDN_URL is 'cdn.example'; it must be an"),
        ({"BLOBS_S3_BUCKET": "files", "BLOBS_URL_SECONDS": "1"}, "BLOBS_URL_SECONDS is 1; it must be at least 10"),
        ({"STRIPE_SECRET_KEY": "sk_test_x"}, "STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRETS belong together"),
        ({"STRIPE_WEBHOOK_SECRETS": "whsec_x"}, "STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRETS belong together"),
        ({"X402_PAY_TO": "0x1"}, "X402_PAY_TO is set and X402_FACILITATOR_URL is not"),
        ({"X402_FACILITATOR_URL": "https://f.example"}, "X402_FACILITATOR_URL is set and X402_PAY_TO is not"),
    ],
)
def test_the_product_does_not_start_with_a_wrong_setting(
    variables: dict[str, str], reason: str, tmp_path: Path
) -> None:
    environment = os.environ | {"DATA_DIR": str(tmp_path)} | variables
    if "SECRET_KEY" not in variables:
        environment.pop("SECRET_KEY", None)
    started = subprocess.run(
        [sys.executable, "-c", "import latentmas.settings"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode != 0
    assert reason in started.stderr


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOBS_S3_BUCKET", "files")
    monkeypatch.setitem(extras.PACKAGES, "s3", ("no_boto",))
    with pytest.raises(ImproperlyConfigured, match=r"BLOBS_S3_BUCKET needs no_boto.*pip install 'latentmas\[s3\]'"):
        env.need_extra("s3", because="BLOBS_S3_BUCKET")


def test_debug_is_off_unless_asked_for() -> None:
    from django.conf import settings

    assert settings.DEBUG is False
    assert settings.X_FRAME_OPTIONS == "DENY"


def test_a_local_signing_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = env.signing_key("ABSENT_KEY", fallback_file=path)
    assert first is not None
    assert len(first) == 32
    assert env.signing_key("ABSENT_KEY", fallback_file=path) == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_signing_key_comes_from_the_variable_or_its_file_or_is_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert env.signing_key("KEY", fallback_file=None) is None
    (tmp_path / "key").write_text("11" * 32 + "\n")
    monkeypatch.setenv("KEY_FILE", str(tmp_path / "key"))
    assert env.signing_key("KEY", fallback_file=None) == b"\x11" * 32
    monkeypatch.setenv("KEY", "22" * 32)
    assert env.signing_key("KEY", fallback_file=None) == b"\x22" * 32


@pytest.mark.parametrize("value", ["11" * 31, "1" * 65, "zz" * 32, "password"])
def test_what_is_no_signing_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KEY", value)
    with pytest.raises(ImproperlyConfigured, match="KEY must be 32 random bytes in hex") as refusal:
        env.signing_key("KEY", fallback_file=None)
    assert value not in str(refusal.value)


@pytest.mark.parametrize("value", ["a b", "a+b", "a\nb"])
def test_a_name_that_notes_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ORIGIN", value)
    with pytest.raises(ImproperlyConfigured, match="without spaces and"):
        env.key_name("ORIGIN", "localhost/log")


def test_verifier_keys_are_read_and_wrong_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert env.verifier_keys("WITNESSES") == []
    monkeypatch.setenv("WITNESSES", f"{key}, {key}")
    assert [each.name for each in env.verifier_keys("WITNESSES")] == ["PeterNeumann", "PeterNeumann"]
    monkeypatch.setenv("WITNESSES", key[:-4])
    with pytest.raises(ImproperlyConfigured, match="WITNESSES: "):
        env.verifier_keys("WITNESSES")
