"""The ledger in the admin: read-only, because money moves by commands alone."""

from django.contrib import admin

from latentmas.admin_pages import ReadOnlyAdmin
from marketplace.ledger.models import Balance, LedgerTransfer


@admin.register(Balance)
class BalanceAdmin(ReadOnlyAdmin):
    list_display = ("account", "agent", "amount", "currency")
    list_filter = ("currency",)
    search_fields = ("account", "agent")
    ordering = ("account",)


@admin.register(LedgerTransfer)
class LedgerTransferAdmin(ReadOnlyAdmin):
    list_display = ("at", "purpose", "debit", "credit", "amount", "currency", "stream")
    list_filter = ("purpose", "currency")
    search_fields = ("stream", "debit", "credit")
    ordering = ("-at", "-id")
    show_full_result_count = False
