"""A witness of transparency logs (C2SP tlog-witness): it signs a log's checkpoint only where the log has but grown.

    python -m awareness_sdk.witness --name example.com/witness --key key --state state.json key
    python -m awareness_sdk.witness ... --log NAME+ID+KEY serve --address 127.0.0.1:8100
    python -m awareness_sdk.witness ... --log NAME+ID+KEY watch --url https://latentmas.example

`key` prints the public key, which the log's operator adds to LOG_WITNESSES. `serve` answers add-checkpoint; `watch`
asks a LatentMAS server for new checkpoints and sends it the cosignatures. The key file is made where there is none.
"""

import argparse
import base64
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from awareness_sdk.witness.cosigning import Witness
from awareness_sdk.witness.serving import server
from awareness_sdk.witness.watching import NotCosigned, witness_once
from latentmas.protocol.verification.errors import VerificationFailed
from latentmas.protocol.verification.notes import VerifierKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED_BYTES = 32
SECONDS = 30.0  # for an answer of the log


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 1 where `watch --once` could not cosign."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        logs: dict[str, list[VerifierKey]] = {}
        for key in map(VerifierKey.parse, given.log):
            logs.setdefault(key.name, []).append(key)
        witness = Witness(given.name, _key(given.key), logs, given.state)
        # What it prints must be a key that others can read.
        VerifierKey.parse(witness.verifier_key)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if given.command == "key":
        print(witness.verifier_key)
        return 0
    if given.command == "serve":
        host, _, port = given.address.rpartition(":")
        server(witness, host=host, port=int(port)).serve_forever()
    return _watch(witness, url=given.url, every=given.every, once=given.once)


def _watch(witness: Witness, *, url: str, every: float, once: bool) -> int:
    with httpx.Client(base_url=url, timeout=SECONDS) as log:
        while True:
            try:
                print(f"cosigned {witness_once(witness, log)} events", flush=True)
                failed = False
            except (NotCosigned, VerificationFailed, httpx.HTTPError) as error:
                print(f"not cosigned: {error}", file=sys.stderr, flush=True)
                failed = True
            if once:
                return int(failed)
            time.sleep(every)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m awareness_sdk.witness", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--name", required=True, help="the witness's own, such as example.com/witness")
    parser.add_argument("--key", type=Path, required=True, help="file of the private key")
    parser.add_argument("--state", type=Path, required=True, help="file that remembers what was signed; never lose it")
    parser.add_argument("--log", action="append", default=[], metavar="NAME+ID+KEY", help="may be repeated")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("key", help="print the public key")
    serve = commands.add_parser("serve", help="answer add-checkpoint")
    serve.add_argument("--address", default="127.0.0.1:8100")
    watch = commands.add_parser("watch", help="cosign a LatentMAS server's checkpoints")
    watch.add_argument("--url", required=True)
    watch.add_argument("--every", type=float, default=60.0, metavar="SECONDS")
    watch.add_argument("--once", action="store_true")
    return parser


def _key(path: Path) -> "Ed25519PrivateKey":
    """Return the key of a file that only its owner can read, made where there is none. Raises OSError, ValueError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode())
    except FileExistsError:
        pass
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_text().strip(), validate=True))


if __name__ == "__main__":
    sys.exit(main())
