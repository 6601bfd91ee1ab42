"""Commands of this app: publish a codec profile."""

from dataclasses import replace

from kvcache.server.events import CodecProfilePublished
from latentmas import blobs
from latentmas.events import store
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from latentmas.registry.queries import get_model

MAX_POINTS = 64


def publish_profile(profile: CodecProfilePublished, *, metadata: Metadata) -> None:
    """Record a stored profile as published, under the registry's name of its model; a second call records nothing.

    Raises ModelNotSupported, or InvalidInput where the file is not stored or a figure cannot be right.
    """
    profile = replace(profile, model=get_model(profile.model).name)
    _check(profile)
    stream = f"codec-profile/{profile.digest.removeprefix('sha256:')}"
    if not store.stream_version(stream):
        store.append(store.New(stream, [profile], expected=0), metadata=metadata)


def _check(profile: CodecProfilePublished) -> None:
    if not blobs.exists(profile.digest):
        raise InvalidInput(f"the profile {profile.digest} is not stored; store it first", field="digest")
    if (stored := blobs.size(profile.digest)) != profile.size:
        raise InvalidInput(f"the profile has {stored} bytes, not {profile.size}", field="size")
    if not blobs.DIGEST.fullmatch(profile.weights):
        raise InvalidInput(f"weights is {profile.weights!r}; it must be sha256: and 64 hex digits", field="weights")
    if len(profile.curve) > MAX_POINTS:
        raise InvalidInput(f"the curve has {len(profile.curve)} points; the limit is {MAX_POINTS}", field="curve")
    if profile.curve and profile.measured_on is None:
        raise InvalidInput("a curve needs the documents that it was measured on", field="measured_on")
    for point in profile.curve:
        if not (point.step > 0 and point.ratio > 0 and point.kl >= 0 and 0 <= point.top1 <= 1):
            raise InvalidInput(f"{point} cannot have been measured", field="curve")
