"""Check the mark of a delivered file: for which sale a server says that it made it."""

from pathlib import Path
from typing import Any

from awareness_sdk.log_proofs import Trust
from latentmas.protocol.marks import PREDICATE_TYPE, mark_in
from latentmas.protocol.verification.envelopes import Statement, open_envelope, read_statement
from latentmas.protocol.verification.errors import Reason, VerificationFailed


def sale_of(file: Path | bytes, *, keys: Any) -> Statement:
    """Return what a file's mark says, signed by one of the keys; `keys` is the answer of `/api/log/keys`.

    The predicate names the sale, item and version; the subject is the published file. Raises VerificationFailed, also
    for a file without a mark: anybody can remove it.
    """
    mark = mark_in(file)
    if mark is None:
        raise VerificationFailed(Reason.ENVELOPE_MALFORMED, "the file has no mark")
    statement = read_statement(open_envelope(mark, Trust.of_document(keys).receipt_keys))
    if statement.predicate_type != PREDICATE_TYPE:
        raise VerificationFailed(
            Reason.STATEMENT_MALFORMED, f"the statement is a {statement.predicate_type!r}, not a {PREDICATE_TYPE!r}"
        )
    return statement
