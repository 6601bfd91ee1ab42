"""What runs when: Celery's tasks by their names, for the one process that keeps the schedule."""

from celery.schedules import crontab

from latentmas.jobs.handlers import Queue

SCHEDULE = {
    "send lost jobs again and end overdue ones": {
        "task": "latentmas.jobs.keep_up",
        "schedule": 30.0,
        "options": {"expires": 30},  # seconds; where no worker has taken it by then, the next one does
    },
    "sign certificates": {
        "task": "marketplace.listings.sign_certificates",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "void purchases whose hold has run out": {
        "task": "marketplace.sales.reconcile",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "have purchases measured on their buyers' texts": {
        "task": "marketplace.claims.measure",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "seal the log": {"task": "latentmas.transparency.seal", "schedule": 60.0, "options": {"expires": 60}},
    "run the factory": {"task": "factory.weekly_run", "schedule": crontab(day_of_week="sun", hour="2", minute="0")},
    "read memories on sale in other models' tokens": {
        "task": "factory.retokenise_memories",
        "schedule": crontab(minute="25"),
    },
    "delete old jobs": {"task": "latentmas.jobs.delete_old", "schedule": crontab(hour="3", minute="10")},
    "delete files that nobody names": {
        "task": "latentmas.blobs.sweep",
        "schedule": crontab(hour="3", minute="20"),
        "options": {"queue": Queue.WORK.value},
    },
    "remove unfinished streams": {"task": "kvcache.server.remove_expired_streams", "schedule": crontab(minute="*/10")},
    "remove expired uploads": {"task": "marketplace.uploads.remove_expired", "schedule": crontab(minute="*/10")},
    "send webhooks their events": {
        "task": "marketplace.webhooks.deliver",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "encrypt the webhooks' secrets under the newest key": {
        "task": "marketplace.webhooks.reseal",
        "schedule": crontab(hour="3", minute="40"),
    },
    "ask the gateways about open payments": {
        "task": "marketplace.payments.reconcile",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "ask the domains of verified publishers again": {
        "task": "marketplace.agents.verify_again",
        "schedule": crontab(day_of_week="mon", hour="4", minute="0"),
    },
    "grant the bonuses of the last month": {
        "task": "marketplace.reputation.grant_bonuses",
        "schedule": crontab(hour="4", minute="30"),
    },
    "delete old idempotency keys": {
        "task": "latentmas.idempotency.delete_old",
        "schedule": crontab(hour="3", minute="30"),
    },
    "delete expired sessions": {
        "task": "marketplace.accounts.clear_sessions",
        "schedule": crontab(hour="3", minute="0"),
    },
}
