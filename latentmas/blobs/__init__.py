"""Content-addressed files: a file is named by its SHA-256, written once, and never changed.

They lie below one local folder or in an S3 bucket (docs/operations.md); this module is all that other parts use.
"""

from latentmas.blobs.backends import Stored as Stored
from latentmas.blobs.files import address as address
from latentmas.blobs.files import delete as delete
from latentmas.blobs.files import exists as exists
from latentmas.blobs.files import get_bytes as get_bytes
from latentmas.blobs.files import local_path as local_path
from latentmas.blobs.files import open_blob as open_blob
from latentmas.blobs.files import put as put
from latentmas.blobs.files import put_bytes as put_bytes
from latentmas.blobs.files import size as size
from latentmas.blobs.files import stored as stored
from latentmas.blobs.naming import DIGEST as DIGEST
from latentmas.blobs.naming import digest_of as digest_of
