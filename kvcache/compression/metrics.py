"""The measured figures of one compression; one that was not measured is None."""

from dataclasses import dataclass

MS_PER_SECOND = 1000.0
NOT_RUN = "not asked for: only a benchmark with measure_ttft runs the model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics of specification 1.2. `compressed_bytes` does not include the profile, which is sent once.

    `ratio` is original over compressed bytes. `original_bytes` is what the model's own cache takes at float16: tokens
    that a sliding layer no longer needs do not count as saved. `ttft_ms` (from the compressed bytes to the first token)
    and `prefill_ttft_ms` (from the text's tokens) are set only by a caller that ran the model, `decompression_time_ms`
    only by a decode; `ttft_reason` says why there is no `ttft_ms`.
    """

    compression_time_ms: float
    original_bytes: int
    compressed_bytes: int
    token_savings: int
    decompression_time_ms: float | None = None
    ttft_ms: float | None = None
    prefill_ttft_ms: float | None = None
    ttft_reason: str | None = NOT_RUN
    cumulative_attention: float | None = None  # coverage of the kept tokens; None where none were selected
    profile_bytes: int | None = None

    @property
    def ratio(self) -> float:
        return self.original_bytes / self.compressed_bytes

    @property
    def saved(self) -> float:
        """The fraction saved, which the specification calls compression ratio; below 0 where the file is larger."""
        return 1 - self.compressed_bytes / self.original_bytes

    @property
    def bandwidth_savings_bytes(self) -> int:
        return self.original_bytes - self.compressed_bytes

    @property
    def bandwidth_savings_percent(self) -> float:
        return 100 * self.saved

    def ratio_with_profile(self, snapshots: int) -> float | None:
        """Return the ratio with the profile's bytes spread over that many snapshots; None without a profile."""
        if self.profile_bytes is None:
            return None
        return self.original_bytes / (self.compressed_bytes + self.profile_bytes / snapshots)

    def document(self) -> dict[str, float | int | str | None]:
        """Return the figures under the names of the version 2.0 document."""
        return {
            "compression_time_ms": self.compression_time_ms,
            "decompression_time_ms": self.decompression_time_ms,
            "ttft_ms": self.ttft_ms,
            "prefill_ttft_ms": self.prefill_ttft_ms,
            "ttft_reason": self.ttft_reason,
            "token_savings": self.token_savings,
            "bandwidth_savings_bytes": self.bandwidth_savings_bytes,
            "bandwidth_savings_percent": self.bandwidth_savings_percent,
            "cumulative_attention": self.cumulative_attention,
            "ratio": self.ratio,
            "original_bytes": self.original_bytes,
            "compressed_bytes": self.compressed_bytes,
            "profile_bytes": self.profile_bytes,
        }
