"""The catalogue's entries in the schedule."""

from latentmas.celery import app
from latentmas.events.types import Metadata
from marketplace.listings.certificates import signing


@app.task(name="marketplace.listings.sign_certificates")
def sign_certificates() -> None:
    """Sign the certificates that wait for it, as the command `sign_certificates` does."""
    signing.sign_certificates(metadata=Metadata(actor="task:sign_certificates"))
