"""Read the evaluation report that a version names by digest."""

import msgspec

from latentmas import blobs
from latentmas.protocol.errors import StorageUnavailable
from latentmas.protocol.quality import EvaluationReport
from marketplace.listings.models import ListingVersion


def report_of(row: ListingVersion) -> EvaluationReport:
    """Return the version's report. Raises NotFound or StorageUnavailable where the stored file is no report."""
    with blobs.open_blob(row.report_digest) as file:
        content = file.read()
    try:
        # Not strict: decimals are text in canonical JSON.
        return msgspec.convert(msgspec.json.decode(content), EvaluationReport, strict=False)
    except msgspec.DecodeError as error:
        raise StorageUnavailable(f"the report {row.report_digest} cannot be read: {error}") from error
