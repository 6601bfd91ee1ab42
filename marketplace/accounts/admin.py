"""API tokens in the admin: made on a form that shows the token once, revoked by an action, never edited."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from latentmas.protocol.errors import LatentMASError
from latentmas.rest.scopes import SCOPES
from marketplace.accounts.commands import DEFAULT_DAYS, MAX_DAYS, create_token, revoke_token
from marketplace.accounts.models import MAX_NAME, ApiToken


class NewTokenForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """The arguments of `create_token`, which `clean` calls."""

    name = forms.CharField(max_length=MAX_NAME, help_text="What it is for.")
    owner = forms.ModelChoiceField(User.objects.filter(is_active=True))
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {meaning}") for scope, meaning in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.IntegerField(min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS, help_text="Days until it expires.")

    class Meta:
        model = ApiToken
        fields = ("name", "owner")

    def clean(self) -> dict[str, Any]:
        """Make the token here, so that a refusal is shown beside the form."""
        typed = super().clean() or {}
        if not self.errors:
            try:
                self.instance, self.token = create_token(
                    typed["owner"], name=typed["name"], scopes=typed["scopes"], days=typed["days"]
                )
            except LatentMASError as error:
                raise forms.ValidationError(error.message) from error
        return typed


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = NewTokenForm
    fields = ("name", "owner", "scopes", "days")
    actions = ("revoke",)
    list_display = ("name", "owner", "granted", "state", "last_used_at", "expires_at", "created_at", "id")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "owner")
    list_select_related = ("owner",)
    search_fields = ("id", "name", "owner__username")

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apitoken")

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        shown = ("id", "name", "owner", "granted", "state", "created_at", "last_used_at", "expires_at", "revoked_at")
        return self.fields if obj is None else shown

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Show the token, which cannot be looked up again; the form has made its row already."""
        messages.warning(request, f"The token, shown only now: {form.token}")

    @admin.display(description="scopes")
    def granted(self, row: ApiToken) -> str:
        return ", ".join(row.scopes)

    @admin.display(description="state")
    def state(self, row: ApiToken) -> str:
        return row.state_at(timezone.now())

    @admin.action(description="Revoke for good", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for row in queryset:
            revoke_token(row.id)
        messages.success(request, f"Revoked {len(queryset)}.")
