"""How much memory a web process takes for a calibration pack of 1 GiB that comes and goes, with a folder and with S3.

    python -m benchmarks.storage                    # a minute or two; 1 GiB
    python -m benchmarks.storage --mebibytes 576    # with much less the pack has too few rows to be taken

A gunicorn with one worker serves an empty product of its own; moto's server, in a process of its own, is the S3. What
is reported is the worker's peak (VmHWM, which counts mapped files too) above what it held after its first answers. The
last line is JSON.
"""

import argparse
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.jobs.brokers import free_port
from benchmarks.jobs.workers import answers
from factory.packs.pack import PackDocument
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.geometry import KVGeometry

LIMIT_MEGABYTES = 200
MODEL = "gpt-4"  # of which nothing is published that a geometry could contradict
LAYERS, HEADS, HEAD_DIM = 32, 8, 128
DOCUMENTS = 64
PATIENCE_SECONDS = 60
FILE = "application/vnd.safetensors"
BUCKET = "files"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mebibytes", type=int, default=1024, help="of the pack; with much less it has too few rows")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pack = write_pack(folder / "pack.safetensors", options.mebibytes << 20)
        figures["bytes"] = pack.stat().st_size
        figures["local"] = measure(pack, folder / "local", {})
        with s3(folder) as variables:
            figures["s3"] = measure(pack, folder / "s3", variables)
    print(json.dumps(figures))
    peaks = [figures[kind][f"{way}_megabytes"] for kind in ("local", "s3") for way in ("upload", "download")]
    if max(peaks) > LIMIT_MEGABYTES:
        raise SystemExit(f"more than {LIMIT_MEGABYTES} MB")


def write_pack(path: Path, size: int) -> Path:
    """Write a pack that the server takes, its rows random."""
    from factory.corpora.documents import split_of

    geometry = KVGeometry(LAYERS, HEADS, HEAD_DIM, HEAD_DIM, (10_000.0,) * LAYERS, (None,) * LAYERS)
    documents = tuple(hashlib.sha256(str(number).encode()).hexdigest() for number in range(DOCUMENTS))
    each = size // (DOCUMENTS * geometry.width * 2)
    rng = np.random.default_rng(0)
    rows = np.empty((DOCUMENTS * each, geometry.width), np.float16)
    for row in rows:
        row[:] = rng.integers(-1000, 1000, geometry.width, dtype=np.int16)
    document = PackDocument(
        model=MODEL,
        weights=f"sha256:{'0' * 64}",
        corpus="random",
        corpus_digest=f"sha256:{'1' * 64}",
        documents=documents,
        splits=tuple(split_of(digest) for digest in documents),
        geometry=geometry,
    )
    arrays = {
        "rows": rows,
        "spans": np.tile(np.stack([np.arange(each), np.arange(1, each + 1)], axis=1), (DOCUMENTS, 1)).astype(np.int32),
        "starts": np.arange(0, len(rows) + 1, each, dtype=np.int64),
        "bos": np.ones(geometry.width, np.float32),
    }
    with path.open("wb") as file:
        tensors.write(file, arrays, plain(document))
    return path


def measure(pack: Path, data: Path, variables: dict[str, str]) -> dict[str, Any]:
    """Send the pack to a product of its own and fetch it again; return the peaks of its web process and the times."""
    limits = dict.fromkeys(("MAX_FILE_BYTES", "CALIBRATION_PACK_MAX_BYTES"), str(2 << 30))
    environment = os.environ | {"DATA_DIR": str(data), "CACHE_DIR": str(data / "cache")} | limits | variables
    environment.pop("DATABASE_URL", None)
    token = prepare(environment)
    figures: dict[str, Any] = {}
    with web_process(environment) as (address, pid), httpx.Client(base_url=address, timeout=None) as client:
        key = {"Authorization": f"Bearer {token}"}
        for path in ("/healthz", "/api/calibration-packs", "/api/stored-memories"):
            client.get(path, headers=key).raise_for_status()
        at_rest = memory(pid, "VmRSS")
        figures["at_rest_megabytes"] = round(at_rest)
        with watched(pid, at_rest, figures, "upload"), pack.open("rb") as file:
            headers = key | {"Content-Type": FILE}
            url = "/api/calibration-packs?new_corpus=true"
            answer = client.post(url, content=file, headers=headers | {"Content-Length": str(pack.stat().st_size)})
        if answer.status_code != 201:
            raise SystemExit(f"the pack was not taken: {answer.text}")
        digest = answer.json()["digest"]
        with watched(pid, at_rest, figures, "download"):
            figures["download_answered"] = fetch(client, f"/api/calibration-packs/{digest}/file", digest)
    return figures


def fetch(client: httpx.Client, path: str, digest: str) -> int:
    """Read the file to its end, follow where it leads, check its digest, and return our server's own status."""
    sha256 = hashlib.sha256()
    with client.stream("GET", path, follow_redirects=True) as response:
        response.raise_for_status()
        for piece in response.iter_raw(1 << 20):
            sha256.update(piece)
    assert f"sha256:{sha256.hexdigest()}" == digest
    return (response.history or [response])[0].status_code


@contextmanager
def watched(pid: int, at_rest: float, figures: dict[str, Any], way: str) -> Iterator[None]:
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is now what it holds
    started = time.monotonic()
    yield
    figures[f"{way}_seconds"] = round(time.monotonic() - started, 1)
    figures[f"{way}_megabytes"] = round(memory(pid, "VmHWM") - at_rest)


def memory(pid: int, what: str) -> float:
    """Return a figure of /proc/PID/status in megabytes."""
    (line,) = (each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024 / 1e6


def prepare(environment: dict[str, str]) -> str:
    """Make database, registry and an account, and return a token."""
    account = {"DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe()}
    for command in (
        ("migrate", "--verbosity", "0"),
        ("load_registry",),
        ("createsuperuser", "--noinput", "--username", "bench", "--email", "bench@example.org"),
    ):
        manage(*command, environment=environment | account)
    return manage("create_token", "bench", environment=environment).strip()


def manage(*command: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *command], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


@contextmanager
def web_process(environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Start a gunicorn and yield its address and the id of its worker."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ["-m", "gunicorn", "latentmas.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4"]
    with running([*command, "--log-level", "warning"], environment, f"{address}/healthz") as pid:
        (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        yield address, int(worker)


@contextmanager
def s3(folder: Path) -> Iterator[dict[str, str]]:
    """Start moto's server with a bucket, and yield the variables that lead the product to it."""
    import boto3

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    command = ["-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, os.environ | {"TMPDIR": str(folder)}, f"{address}/moto-api/"):
        session = boto3.Session("testing", "testing", region_name="us-east-1")
        session.client("s3", endpoint_url=address).create_bucket(Bucket=BUCKET)
        region = {"BLOBS_S3_REGION": "us-east-1"}
        yield keys | region | {"BLOBS_S3_BUCKET": BUCKET, "BLOBS_S3_ENDPOINT_URL": address}


@contextmanager
def running(command: list[str], environment: dict[str, str], url: str) -> Iterator[int]:
    """Start a Python process, wait until it answers, yield its id, and stop it."""
    process = subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not answers(url):
            if process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(f"{' '.join(command)} ended or hung before it answered")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
