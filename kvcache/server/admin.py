"""Codec profiles and recorded runs in the admin, read-only."""

from typing import Any

from django.contrib import admin

from kvcache.server.models import CodecProfile, CompressionRun
from latentmas.admin_pages import ReadOnlyAdmin


@admin.register(CodecProfile)
class CodecProfileAdmin(ReadOnlyAdmin):
    list_per_page = 50
    list_display = ("model", "version", "best", "basis", "megabytes", "width", "published_at", "digest")
    list_filter = ("model", "basis")
    search_fields = ("model", "digest", "weights")

    @admin.display(description="highest measured ratio")
    def best(self, row: CodecProfile) -> str:
        points = [(float(point["ratio"]), float(point["kl"])) for point in row.curve]
        return "{:.1f}x at KL {:.3f}".format(*max(points)) if points else "not measured"

    @admin.display(description="MB", ordering="size")
    def megabytes(self, row: CodecProfile) -> str:
        return f"{row.size / 1e6:.1f}"


@admin.register(CompressionRun)
class CompressionRunAdmin(ReadOnlyAdmin):
    list_per_page = 50
    list_display = (
        *("created_at", "operation", "model", "method", "bytes_over_bytes", "tokens", "tokens_kept", "covered"),
        *("compressed_in", "decompressed_in", "compiling", "cold", "basis"),
    )
    list_filter = ("operation", "method", "cold", "basis", "model")
    search_fields = ("model", "profile")
    date_hierarchy = "created_at"
    show_full_result_count = False  # the table grows with every request

    @admin.display(description="ratio")
    def bytes_over_bytes(self, row: CompressionRun) -> str:
        return _figure(row.ratio, 2)

    @admin.display(description="attention kept", ordering="coverage")
    def covered(self, row: CompressionRun) -> str:
        return _figure(row.coverage, 4)

    @admin.display(description="compress ms", ordering="compression_ms")
    def compressed_in(self, row: CompressionRun) -> str:
        return _figure(row.compression_ms, 2)

    @admin.display(description="decompress ms", ordering="decompression_ms")
    def decompressed_in(self, row: CompressionRun) -> str:
        return _figure(row.decompression_ms, 2)

    @admin.display(description="of it compiling", ordering="compile_ms")
    def compiling(self, row: CompressionRun) -> str:
        return _figure(row.compile_ms, 2)


def _figure(value: Any, digits: int) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}"
