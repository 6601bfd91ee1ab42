"""Events of listings, of their life and certification, and of certificates' signatures; all are registered with it."""

from marketplace.listings.events import certification, lifecycle, listing, signing

__all__ = ["certification", "lifecycle", "listing", "signing"]
