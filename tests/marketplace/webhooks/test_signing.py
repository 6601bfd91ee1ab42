import pytest

from marketplace.webhooks.signing import Unreadable, new_secret, opened, sealed, signature


def test_it_signs_as_the_specification_of_standard_webhooks_does():
    # The vector of the reference implementations.
    assert (
        signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp=1614265330,
            body=b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_stored_secret_is_encrypted(settings):
    secret = new_secret()
    assert secret not in sealed(secret)
    assert opened(sealed(secret)) == secret
    stored = sealed(secret)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key"
    assert opened(stored) == secret
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(Unreadable):
        opened(stored)
