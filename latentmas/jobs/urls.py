"""REST addresses of jobs, below /api/."""

from django.urls import path

from latentmas.jobs import api

urlpatterns = [path("jobs", api.jobs, name="jobs"), path("jobs/<str:job_id>", api.job, name="job")]
