"""Where the outbound client goes, and where it does not."""

import socket
import time
from dataclasses import replace

import pytest

from latentmas import outbound
from latentmas.outbound import MAX_ANSWER_BYTES, AddressRefused, RemoteFailed, checked_url, fetch, is_public, send
from latentmas.protocol.errors import StorageUnavailable
from tests.remote import PUBLIC

URL = "https://publisher.example/.well-known/x?y=1"
ELSEWHERE = [
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "::ffff:8.8.8.8",
    "::ffff:127.0.0.1",
    "64:ff9b::808:808",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "fc00::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


def test_it_connects_to_the_address_that_was_checked_under_the_hosts_own_name(remote):
    remote.body = b"hello"
    answer = send("POST", URL, headers={"X-Test": "1"}, body=b"data")
    assert (answer.status, answer.body) == (200, b"hello")
    assert (remote.resolved, remote.connected_to) == (["publisher.example"], [(PUBLIC, 443)])
    (asked,) = remote.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/.well-known/x?y=1", b"data")
    assert (asked.headers["Host"], asked.headers["X-Test"]) == ("publisher.example", "1")


@pytest.mark.parametrize("address", ELSEWHERE)
def test_an_address_that_is_not_public_is_never_connected_to(remote, address):
    remote.resolves_to = [PUBLIC, address]
    with pytest.raises(AddressRefused, match="not public") as refused:
        send("GET", URL)
    assert not remote.connected_to
    assert address not in refused.value.message


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:830::200e"])
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://publisher.example/",
        "https://publisher.example:8443/",
        "https://user:password@publisher.example/",
        "https://localhost/",
        "https://publisher/",
        "https://publisher.example./",
        "https://8.8.8.8/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://a b.example/",
        "https://a.example/\r\nHost: b.example",
        "https:///path",
        "file:///etc/passwd",
        "ftp://publisher.example/",
        "",
        "https://publisher.example/" + "x" * 2000,
    ],
)
def test_other_addresses_are_refused_before_anything_is_resolved(remote, url):
    with pytest.raises(AddressRefused):
        send("GET", url)
    assert not remote.resolved


def test_a_name_of_another_script_is_called_by_its_ascii_form():
    assert outbound.host_of(checked_url("https://тест.example/")) == "xn--e1aybc.example"


def test_a_redirect_is_not_followed(remote):
    remote.status, remote.headers = 302, {"Location": "https://hooks.example/"}
    assert send("GET", URL).status == 302
    assert len(remote.connected_to) == 1


def test_the_certificate_must_be_for_the_name(remote):
    with pytest.raises(RemoteFailed, match="could not be asked"):
        send("GET", "https://other.example/")
    assert not remote.asked


def test_an_authority_that_is_not_known_is_not_trusted(remote, monkeypatch):
    tls = outbound.httpx.create_ssl_context
    monkeypatch.setattr(outbound, "INTERNET", replace(remote.network(), tls=tls))
    with pytest.raises(RemoteFailed, match="could not be asked"):
        send("GET", URL)
    assert not remote.asked


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_answer_is_not_read_to_its_end(remote, chunked):
    def respond(handler):
        handler.send_response(200)
        handler.end_headers() if chunked else (
            handler.send_header("Content-Length", str(1 << 40)),
            handler.end_headers(),
        )
        while True:
            handler.wfile.write(b"x" * 4096)

    remote.respond = respond
    with pytest.raises(RemoteFailed, match=f"more than {MAX_ANSWER_BYTES}"):
        send("GET", URL)


def test_a_server_that_sends_a_byte_now_and_then_has_no_more_time_than_any_other(remote, monkeypatch):
    monkeypatch.setattr(outbound, "SECONDS", 0.3)

    def respond(handler):
        for _ in range(100):
            handler.wfile.write(b"H")
            time.sleep(0.05)

    remote.respond = respond
    began = time.monotonic()
    with pytest.raises(RemoteFailed, match="did not answer"):
        send("GET", URL)
    assert time.monotonic() - began < 2


def test_a_name_without_an_address_is_said_to_have_none(remote):
    remote.resolves_to = []
    with pytest.raises(RemoteFailed, match="has no address"):
        send("GET", URL)


def test_proxies_of_the_environment_are_not_used(remote, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send("GET", URL).status == 200


def test_the_real_network_lets_nothing_local_through(monkeypatch):
    def connect(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(outbound, "INTERNET", replace(outbound.INTERNET, connect=connect))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 443))])
    with pytest.raises(AddressRefused, match="not public"):
        send("GET", URL)


def test_a_file_is_fetched_in_pieces_up_to_its_size(remote):
    remote.body = bytes(MAX_ANSWER_BYTES + 1)
    came = bytearray()
    fetch(URL, came.extend, max_bytes=MAX_ANSWER_BYTES + 1, seconds=5)
    assert came == remote.body
    with pytest.raises(RemoteFailed, match="more than 10 bytes"):
        fetch(URL, came.extend, max_bytes=10, seconds=5)


def test_what_is_fetched_is_no_redirect_and_no_problem(remote):
    remote.status, remote.headers = 302, {"Location": "https://hooks.example/"}
    with pytest.raises(RemoteFailed, match="status 302"):
        fetch(URL, print, max_bytes=10, seconds=5)


def test_a_full_disk_is_not_the_other_sides_failure(remote):
    def take(piece):
        raise OSError(28, "No space left on device")

    remote.body = b"data"
    with pytest.raises(StorageUnavailable, match="No space"):
        fetch(URL, take, max_bytes=10, seconds=5)
