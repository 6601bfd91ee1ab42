"""Form fields that Django lacks: comma-separated words, a range of whole numbers, an optional JSON object."""

import re
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget

RANGE = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", re.ASCII)


class Words(forms.CharField):
    """Words separated by commas; nothing typed is an empty list, or `empty_value`."""

    widget = AdminTextInputWidget

    def __init__(self, *, empty_value: Any = (), **options: Any) -> None:
        super().__init__(**options)
        self.nothing = empty_value

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        words = [word.strip() for word in (super().to_python(value) or "").split(",") if word.strip()]
        return words or self.nothing

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or ()) != list(self.to_python(data) or ())


class IntegerRange(forms.CharField):
    """A range such as `64-128`, or one number; nothing typed is None."""

    widget = AdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return str(value[0]) if value[0] == value[1] else f"{value[0]}-{value[1]}"
        return value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        match = RANGE.fullmatch(text)
        if match is None:
            raise forms.ValidationError("write a range such as 64-128, or one number")
        return [int(match[1]), int(match[2] or match[1])]

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return list(initial or ()) != list(self.to_python(data) or ())
        except forms.ValidationError:
            return True


class Document(forms.JSONField):
    """A JSON object; None is an empty field, not the word `null`."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)

    def to_python(self, value: Any) -> Any:
        document = super().to_python(value)
        if document is not None and not isinstance(document, dict):
            raise forms.ValidationError("write a JSON object, {...}")
        return document
