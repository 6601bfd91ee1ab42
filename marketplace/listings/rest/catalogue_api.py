"""Read the catalogue over REST. Listings change through commands only, so nothing here writes."""

from functools import partial
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.kept_answers import kept_until
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space
from latentmas.registry.queries import name_of_model
from latentmas.rest.conditional import versioned
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.endpoints import reading
from marketplace.listings import queries
from marketplace.listings.certificates.standing import certificate_of, require_certificate
from marketplace.listings.choosing.choice import best, reachable
from marketplace.listings.models import ORDER
from marketplace.listings.rest import inputs, outputs
from marketplace.listings.rest.signature_outputs import SignatureOutput, signature_of
from marketplace.listings.rest.statistics_outputs import StatisticsOutput, statistics_document
from marketplace.listings.statistics import statistics
from marketplace.listings.visibility import viewer_of


class CertificateOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    file_digest = serializers.CharField()
    source_model = serializers.CharField()
    source_weights = serializers.CharField(allow_null=True)
    target_model = serializers.CharField()
    target_weights = serializers.CharField(allow_null=True)
    basis = serializers.ChoiceField([basis.value for basis in Basis])
    epsilon = serializers.FloatField(help_text="With a scope, by the lower end of its worst register.")
    issued_at = serializers.DateTimeField()
    certification = outputs.CertificationOutput()
    targets = outputs.TargetOutput(many=True, help_text="The specification's own, and whether they are met.")
    signature = SignatureOutput(allow_null=True, help_text="Null until the next run of the schedule has signed it.")


class ReportOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    basis = serializers.ChoiceField([basis.value for basis in Basis])
    certification = outputs.CertificationOutput(allow_null=True)
    digest = serializers.CharField(help_text="SHA-256 of `report` as canonical JSON.")
    report = serializers.DictField(help_text="The evaluation report: settings, layers, documents, every arm.")


class CompatibleTargetOutput(serializers.Serializer[Any]):
    target_model = serializers.CharField()
    listing_id = serializers.CharField()
    version = serializers.CharField()
    basis = serializers.ChoiceField([basis.value for basis in Basis])
    epsilon = serializers.FloatField()
    retention = outputs.IntervalOutput(allow_null=True)
    certification = outputs.CertificationOutput(allow_null=True)
    url = serializers.CharField()


class CompatibleOutput(serializers.Serializer[Any]):
    source_model = serializers.CharField()
    targets = CompatibleTargetOutput(many=True)


def browse(request: Request) -> Response:
    """Return a page of what is on offer: measured figures first, then the lowest epsilon."""
    now = timezone.now()
    wanted = inputs.read_query(request, inputs.BrowseInput)
    offers = queries.browse(inputs.filters_from(wanted), at=now, viewer=viewer_of(request))
    # Named tuples: making models of the rows takes longer than all else that is done with them.
    rows = offers.values_list(*outputs.SUMMARY, named=True)
    page = page_of(rows, order=ORDER, limit=wanted["limit"], cursor=wanted.get("cursor"))
    answer = Response(page_document(request, page, partial(outputs.summary, at=now)))
    return kept_until(answer, [row.certified_until for row in page.rows])


@reading("w_matrices_retrieve", answer=outputs.ListingOutput, statuses=[403])
def listing(request: Request, listing_id: str) -> Response:
    """Return a listing with its licences and all its versions, yanked ones too."""
    viewer = viewer_of(request)
    row = queries.get_listing(listing_id, viewer)
    answer = Response(outputs.detail(row, queries.versions_of(listing_id, viewer), at=timezone.now()))
    return versioned(answer, row.stream_version)


@reading("w_matrices_version", answer=outputs.VersionOutput, statuses=[403])
def version(request: Request, listing_id: str, version: str) -> Response:
    """Return one version with every figure of its measurement."""
    row = queries.get_version(listing_id, version=version, viewer=viewer_of(request))
    return Response(outputs.version(row, at=timezone.now()))


@reading("w_matrices_report", answer=ReportOutput, statuses=[403, 410, 503, 507])
def report(request: Request, listing_id: str, version: str) -> Response:
    """Return the evaluation report: settings, layers, documents and every arm of the measurement."""
    row = queries.offered_version(listing_id, version, viewer_of(request))
    return Response(
        {
            "listing_id": row.listing_id,
            "version": row.version,
            "basis": row.basis,
            "certification": outputs.certification(row, at=timezone.now()),
            "digest": row.report_digest,
            "report": queries.report_document(row),
        }
    )


@reading("w_matrices_certificate", answer=CertificateOutput, statuses=[403, 410])
def certificate(request: Request, listing_id: str, version: str) -> Response:
    """Return the valid certificate, or the reasons why there is none as a problem."""
    row, now = queries.offered_version(listing_id, version, viewer_of(request)), timezone.now()
    require_certificate(row, at=now)
    same = ("listing_id", "version", "file_digest", "source_model", "source_weights", "target_model", "target_weights")
    held = certificate_of(row)
    assert held is not None  # it was just required
    return Response(
        {name: getattr(row, name) for name in (*same, "basis")}
        | {"epsilon": held.epsilon, "issued_at": held.issued_at}
        | {"certification": outputs.certification(row, at=now), "targets": outputs.targets(row)}
        | {"signature": signature_of(row)}
    )


@reading("w_matrices_best", answer=outputs.VersionOutput, query=inputs.BestInput)
def best_for_pair(request: Request) -> Response:
    """Return the best certified version for a pair of models; never a simulated one unless it is asked for."""
    now = timezone.now()
    asked = inputs.read_query(request, inputs.BestInput)
    found = best(
        source_model=name_of_model(asked["source_model"]),
        target_model=name_of_model(asked["target_model"]),
        at=now,
        space=Space(asked["space"]),
        wanted=inputs.wanted_from(asked, viewer_of(request)),
    )
    return Response(outputs.version(found, at=now))


@reading("w_matrices_compatible", answer=CompatibleOutput, query=inputs.CompatibleInput)
def compatible(request: Request) -> Response:
    """Return the models that a W-Matrix on offer leads to from one model, each with the first version wanted."""
    now = timezone.now()
    asked = inputs.read_query(request, inputs.CompatibleInput)
    source = name_of_model(asked["source_model"])
    rows = reachable(source, at=now, space=Space(asked["space"]), wanted=inputs.wanted_from(asked, viewer_of(request)))
    shown = ("listing_id", "target_model", "version", "basis", "epsilon", "certification", "url")
    targets = []
    for row in rows:
        document, retention = outputs.version(row, at=now), row.quality["retention"]
        targets.append({name: document[name] for name in shown} | {"retention": retention and retention["aligned"]})
    return Response({"source_model": source, "targets": targets})


@reading("w_matrices_statistics", answer=StatisticsOutput, conditional=True)
def totals(request: Request) -> Response:
    """Return totals by tier, grade, basis, method and family, and the mean epsilon of each basis on its own."""
    return Response(statistics_document(statistics(at=timezone.now())))
