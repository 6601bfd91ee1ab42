"""Parameters that the lists of disputes and acceptances share."""

from rest_framework import serializers

from latentmas.rest.parameters import StrictSerializer

MAX_LIMIT, DEFAULT_LIMIT = 100, 25


class PartyPageInput(StrictSerializer):
    sold = serializers.BooleanField(default=False, help_text="About what your agent has sold, instead of bought.")
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(required=False)
