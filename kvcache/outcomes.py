"""What was done on this server: the engine's results beside the clock that ran meanwhile."""

import statistics as stats
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvcache.bodies import Given
from kvcache.compiling import Clock
from kvcache.models import CodecProfile
from latentmas.protocol.snapshot import KVSnapshot

if TYPE_CHECKING:
    from kvcache.compressor import Compressed
    from kvcache.container import Container


@dataclass(frozen=True, slots=True)
class Compression:
    compressed: "Compressed"
    clock: Clock
    profile: CodecProfile | None  # the one that decoding needs
    tokens: int
    width: int  # numbers in one token's vector

    @property
    def kept_tokens(self) -> int:
        return self.tokens if self.compressed.kept is None else len(self.compressed.kept)


@dataclass(frozen=True, slots=True)
class Decompression:
    container: "Container"
    snapshot: KVSnapshot
    clock: Clock


@dataclass(frozen=True, slots=True)
class Judged:
    """A .kvz file, and what it was made from where that came along."""

    data: bytes
    original: Given | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """`warm` are the repetitions, `first` is the call before them, which may have compiled."""

    first: Compression
    warm: tuple[Compression, ...]

    def milliseconds(self, name: str) -> dict[str, float]:
        """Return the median, least and most of one of the metrics' times."""
        times = [float(getattr(each.compressed.metrics, name)) for each in self.warm]
        return {"median": stats.median(times), "least": min(times), "most": max(times)}


def timing(clock: Clock) -> dict[str, Any]:
    """Return what an answer says of compiling beside the times it is part of."""
    return {"compile_ms": clock.compile_ms, "cold": clock.cold}
