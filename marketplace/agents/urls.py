"""REST addresses of agents, below /api/."""

from django.urls import path

from marketplace.agents import api

urlpatterns = [
    path("agents", api.agents, name="agents"),
    path("agents/<str:agent_id>", api.agent, name="agent"),
    path("agents/<str:agent_id>/keys", api.keys, name="agent-keys"),
    path("agents/<str:agent_id>/keys/<str:key_id>", api.key, name="agent-key"),
]
