"""Files in an S3 bucket: uploaded in parts that S3 checks by SHA-256, visible when complete, served by signed URLs."""

import functools as ft
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from storages.backends.s3 import S3Storage

from latentmas.blobs.backends import Stored, discard_incoming
from latentmas.blobs.naming import NAME
from latentmas.protocol.errors import StorageAway

logger = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 30, 3  # a request waits for the storage, and its sender for the request
PART_BYTES = 16 << 20
PARTS_AT_ONCE = 4
PRIVATE_URL_SECONDS = 60  # a link to a private file is followed at once, or asked for again
GONE = {"404", "NoSuchKey"}


class S3Files(S3Storage):  # type: ignore[misc]  # the library is untyped
    """The storage of several machines. Each part of an upload carries its SHA-256, which S3 compares.

    An upload that fails is aborted; what a dead process left is invisible until `discard_unfinished` removes it.
    """

    def get_default_settings(self) -> dict[str, Any]:
        parts = TransferConfig(
            multipart_threshold=PART_BYTES,
            multipart_chunksize=PART_BYTES,
            max_concurrency=PARTS_AT_ONCE,
            num_download_attempts=ATTEMPTS,
        )
        ours = {"cdn_url": "", "signature_version": "s3v4", "transfer_config": parts}
        return dict(super().get_default_settings()) | ours

    @ft.cached_property
    def connection(self) -> Any:
        """One for all threads: a client may be shared, and each of its own would keep another copy of S3's model."""
        # Servers of one's own rarely have a host name for each bucket.
        style = "path" if self.endpoint_url else "auto"
        config = Config(
            s3={"addressing_style": style},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        return self._create_session().resource(
            "s3",
            region_name=self.region_name,
            endpoint_url=self.endpoint_url,
            config=self.client_config.merge(config),
        )

    @property
    def client(self) -> Any:
        return self.connection.meta.client

    @property
    def incoming(self) -> Path:
        return Path(settings.CACHE_DIR) / "incoming"

    def keep(self, temporary: Path, name: str) -> None:
        given = {"ChecksumAlgorithm": "SHA256", "ContentType": self.default_content_type}
        with _reaching():
            self.client.upload_file(
                str(temporary), self.bucket_name, self._normalize_name(name), given, Config=self.transfer_config
            )

    def look(self, name: str) -> Stored | None:
        try:
            with _reaching():
                found = self.client.head_object(Bucket=self.bucket_name, Key=self._normalize_name(name))
        except FileNotFoundError:
            return None
        return Stored(name, found["ContentLength"], found["LastModified"])

    def path_of(self, name: str) -> Path | None:
        return None

    def fetch(self, name: str, path: Path) -> None:
        with _reaching():
            self.client.download_file(
                self.bucket_name, self._normalize_name(name), str(path), Config=self.transfer_config
            )

    def address(self, name: str, *, filename: str, method: str, private: bool) -> str | None:
        """Return a signed URL that expires; of a public file that of the CDN, where there is one."""
        if self.cdn_url and not private:
            return f"{self.cdn_url.rstrip('/')}/{name}"
        shown = {"ResponseContentDisposition": f'attachment; filename="{filename}"'}
        kept = {"ResponseCacheControl": "private, no-store"} if private else {}
        expire = min(PRIVATE_URL_SECONDS, self.querystring_expire) if private else None
        with _reaching():
            return str(self.url(name, parameters=shown | kept, expire=expire, http_method=method))

    def files(self) -> Iterator[Stored]:
        folder = self._folder()
        with _reaching():
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix=folder)
            for page in pages:
                for each in page.get("Contents", ()):
                    name = each["Key"].removeprefix(folder)
                    if NAME.fullmatch(name):
                        yield Stored(name, each["Size"], each["LastModified"])

    def delete(self, name: str) -> None:
        with _reaching():
            super().delete(name)

    def discard_unfinished(self, before: datetime) -> int:
        count = discard_incoming(self.incoming, before)
        folder = self._folder()
        with _reaching():
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket_name, Prefix=folder)
            for upload in [each for page in pages for each in page.get("Uploads", ()) if each["Initiated"] < before]:
                self.client.abort_multipart_upload(
                    Bucket=self.bucket_name, Key=upload["Key"], UploadId=upload["UploadId"]
                )
                count += 1
        return count

    def _folder(self) -> str:
        return f"{self.location.strip('/')}/".lstrip("/")


@contextmanager
def _reaching() -> Iterator[None]:
    """Raise FileNotFoundError for a file that is not there, and StorageAway where S3 fails, which is logged."""
    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in GONE:
            raise FileNotFoundError(str(error)) from error
        logger.warning("the file storage failed: %s", error)
        raise StorageAway("the file storage does not answer; nothing was changed") from error
