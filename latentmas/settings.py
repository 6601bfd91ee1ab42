"""The one settings module: local by default, production by environment (docs/configuration.md lists every variable)."""

import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange, Queue

from latentmas import environment as env
from latentmas.jobs.handlers import Queue as JobQueue
from latentmas.logs import FORMATTERS
from latentmas.rest.openapi import DOCUMENT
from latentmas.schedule import SCHEDULE

# Before torch is loaded, which reads it once. Its threads would spin while they wait for each other, and take a shared
# core from the one that they wait for: three times slower on a busy machine (`python -m benchmarks.waiting`).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

BASE_DIR = Path(__file__).resolve().parent.parent
PRODUCTION = env.text("ENVIRONMENT", "local", choices=("local", "production")) == "production"

# Everything the product writes lies below this folder: database, files, model caches.
DATA_DIR = env.folder("DATA_DIR", BASE_DIR / "var")

SECRET_KEY = env.secret("SECRET_KEY", fallback_file=None if PRODUCTION else DATA_DIR / "secret_key")
SECRET_KEY_FALLBACKS = env.secrets("SECRET_KEY_FALLBACKS")

# Private Ed25519 keys. In production only the processes that sign need them: those that run the schedule's tasks.
LOG_SIGNING_KEY = env.signing_key("LOG_SIGNING_KEY", fallback_file=None if PRODUCTION else DATA_DIR / "log_signing_key")
CERTIFICATE_SIGNING_KEY = env.signing_key(
    "CERTIFICATE_SIGNING_KEY", fallback_file=None if PRODUCTION else DATA_DIR / "certificate_signing_key"
)
# The web processes' own: receipts are signed when they are asked for.
RECEIPT_SIGNING_KEY = env.signing_key(
    "RECEIPT_SIGNING_KEY", fallback_file=None if PRODUCTION else DATA_DIR / "receipt_signing_key"
)
LOG_ORIGIN = env.key_name("LOG_ORIGIN", "localhost/latentmas")
LOG_WITNESSES = env.verifier_keys("LOG_WITNESSES")

DEBUG = env.boolean("DEBUG", False)
if DEBUG and PRODUCTION:
    raise ImproperlyConfigured("DEBUG must be off when ENVIRONMENT=production")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "latentmas.blobs",
    "latentmas.events",
    "latentmas.health",
    "latentmas.idempotency",
    "latentmas.jobs",
    "latentmas.registry",
    "latentmas.transparency",
    "kvcache.server",
    "marketplace.accounts",
    "marketplace.agents",
    "marketplace.artefacts",
    "marketplace.certification",
    "marketplace.claims",
    "marketplace.curation",
    "marketplace.ledger",
    "marketplace.listings",
    "marketplace.memories",
    "marketplace.payments",
    "marketplace.pricing",
    "marketplace.reputation",
    "marketplace.sales",
    "marketplace.screening",
    "marketplace.uploads",
    "marketplace.webhooks",
    "marketplace.web",
    "factory",
]

MIDDLEWARE = [
    "latentmas.rest.observing.ObservingMiddleware",
    "latentmas.rest.middleware.ApiMiddleware",
    "latentmas.kept_answers.KeptAnswersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "marketplace.web.middleware.PagePolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "latentmas.rest.throttles.ThrottleMiddleware",
]

ROOT_URLCONF = "latentmas.urls"
WSGI_APPLICATION = "latentmas.wsgi.application"
ASGI_APPLICATION = "latentmas.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": dj_database_url.config(
        default=f"sqlite:///{DATA_DIR / 'latentmas.sqlite3'}", conn_max_age=60, conn_health_checks=True
    ),
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # NORMAL: a power failure may lose the last commits, never the file's consistency (docs/events.md).
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # A file, not memory: the concurrency tests open it from several threads.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LOGIN_URL, LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL = "log-in", "my-listings", "home"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = True

# Content-addressed files (W-Matrices, packs, profiles, reports, memories): in S3 where a bucket is named. Credentials
# are boto3's own affair: environment, shared files, or the machine's role.
BLOBS_S3_BUCKET = env.text("BLOBS_S3_BUCKET", "")
BLOBS_S3_ENDPOINT_URL = env.address("BLOBS_S3_ENDPOINT_URL")
BLOBS_S3_REGION = env.text("BLOBS_S3_REGION", "")
BLOBS_S3_PREFIX = env.text("BLOBS_S3_PREFIX", "").strip("/")
BLOBS_URL_SECONDS = env.integer("BLOBS_URL_SECONDS", 300, minimum=10)
BLOBS_CDN_URL = env.address("BLOBS_CDN_URL")
env.need(
    "BLOBS_S3_BUCKET",
    because=("BLOBS_S3_ENDPOINT_URL", "BLOBS_S3_REGION", "BLOBS_S3_PREFIX", "BLOBS_URL_SECONDS", "BLOBS_CDN_URL"),
)
env.need_extra("s3", because="BLOBS_S3_BUCKET")

LOCAL_BLOBS = {"BACKEND": "latentmas.blobs.local.LocalFiles", "OPTIONS": {"location": DATA_DIR / "blobs"}}
S3_BLOBS = {
    "BACKEND": "latentmas.blobs.s3.S3Files",
    "OPTIONS": {
        "bucket_name": BLOBS_S3_BUCKET,
        "endpoint_url": BLOBS_S3_ENDPOINT_URL or None,
        "region_name": BLOBS_S3_REGION or None,
        "location": BLOBS_S3_PREFIX,
        "querystring_expire": BLOBS_URL_SECONDS,
        "cdn_url": BLOBS_CDN_URL,
    },
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": DATA_DIR / "media"}},
    "blobs": S3_BLOBS if BLOBS_S3_BUCKET else LOCAL_BLOBS,
    # Both by name, for `move_blobs`.
    "local": LOCAL_BLOBS,
    **({"s3": S3_BLOBS} if BLOBS_S3_BUCKET else {}),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# Converted model weights and captured activations; safe to delete, expensive to make again.
CACHE_DIR = env.folder("CACHE_DIR", DATA_DIR / "cache")

# JAX reads its configuration from the environment when it is first imported, which is long after start-up. Compiled
# kernels are kept, short compiles too, so that a request never pays for the same one twice.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE_DIR / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

DATA_UPLOAD_MAX_MEMORY_SIZE = env.integer("MAX_JSON_BYTES", 1 << 20, minimum=1024)
MAX_FILE_BYTES = env.integer("MAX_FILE_BYTES", 1 << 30, minimum=1024)
# A KV-cache is worked on in memory, so it has a limit of its own: in a body, decoded, and all chunks of a stream.
KV_CACHE_MAX_BYTES = env.integer("KV_CACHE_MAX_BYTES", 1 << 28, minimum=1024)
KV_CACHE_STREAMS = env.integer("KV_CACHE_STREAMS", 4, minimum=1)
KV_CACHE_STREAM_SECONDS = env.integer("KV_CACHE_STREAM_SECONDS", 900, minimum=1)
# Never more than MAX_FILE_BYTES, which holds for every body.
CALIBRATION_PACK_MAX_BYTES = env.integer("CALIBRATION_PACK_MAX_BYTES", 1 << 30, minimum=1024)

# A W-Matrix that a seller sends, in one body (then never more than MAX_FILE_BYTES) or in several.
W_MATRIX_MAX_BYTES = env.integer("W_MATRIX_MAX_BYTES", 1 << 30, minimum=1024)
UPLOADS_OPEN = env.integer("UPLOADS_OPEN", 8, minimum=1)
UPLOAD_SECONDS = env.integer("UPLOAD_SECONDS", 86_400, minimum=60)

# Long work: Celery carries it, the rows of latentmas.jobs say what it is. Without a broker, messages are files below
# DATA_DIR, which workers on the same machine read.
MESSAGES = DATA_DIR / "broker"
MESSAGES.mkdir(exist_ok=True)
BROKER_SECONDS = 3  # a request waits so long for a broker that is away or hangs, and once more
BROKERS: dict[str, dict[str, object]] = {  # options by the address' scheme
    "files": {"data_folder_in": str(MESSAGES), "data_folder_out": str(MESSAGES), "polling_interval": 0.2},
    "amqp": {"confirm_publish": True},
    "amqps": {"confirm_publish": True},
    "redis": {"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": BROKER_SECONDS},
    "rediss": {"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": BROKER_SECONDS},
}
CELERY_BROKER_URL = env.url("CELERY_BROKER_URL", "files://localhost/", schemes=tuple(BROKERS))
_SCHEME = CELERY_BROKER_URL.partition(":")[0]
CELERY_BROKER_TRANSPORT_OPTIONS = BROKERS[_SCHEME]
CELERY_BROKER_CONNECTION_TIMEOUT = BROKER_SECONDS
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Celery would connect to the database anew for every message, which costs more than a light job does;
# latentmas/celery.py lets go of connections that are old or broken.
CELERY_DB_REUSE_MAX = 1_000_000
CELERY_TASK_IGNORE_RESULT = True  # the job's row holds it
# By the exchange without a name, which every broker has: it hands a message to the queue of its routing key.
CELERY_TASK_QUEUES = [Queue(each.value, Exchange(""), routing_key=each.value) for each in JobQueue]
CELERY_TASK_DEFAULT_QUEUE = JobQueue.LIGHT.value
CELERY_TASK_DEFAULT_EXCHANGE = ""
CELERY_TASK_DEFAULT_ROUTING_KEY = JobQueue.LIGHT.value
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = _SCHEME != "files"  # it needs messages to all workers at once
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "schedule")
CELERY_BEAT_SCHEDULE = SCHEDULE
# Into how many parts the factory cuts the work on one pair; more workers than that cannot help with it.
FACTORY_SLICES = env.integer("FACTORY_SLICES", 8, minimum=1)
# A folder of texts that only the certifier knows: they tell whether a file was made for the public suite.
PRIVATE_TEXTS = env.text("PRIVATE_TEXTS", "")
# Where a rights holder can ask for a W-Matrix to be taken down: an address that cards carry.
TAKEDOWN_CONTACT = env.text("TAKEDOWN_CONTACT", "")

# How money comes in. Without its key or address a gateway is not offered; Stripe needs its webhook too, since only that
# tells at once that somebody has paid. The defaults of x402's asset are USDC on Base.
STRIPE_SECRET_KEY = env.optional_secret("STRIPE_SECRET_KEY")
STRIPE_WEBHOOK_SECRETS = env.secrets("STRIPE_WEBHOOK_SECRETS")
STRIPE_RETURN_URL = env.address("STRIPE_RETURN_URL")
if (STRIPE_SECRET_KEY is None) != (not STRIPE_WEBHOOK_SECRETS):
    raise ImproperlyConfigured("STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRETS belong together; set both, or neither")
X402_FACILITATOR_URL = env.address("X402_FACILITATOR_URL")
X402_FACILITATOR_TOKEN = env.optional_secret("X402_FACILITATOR_TOKEN")
X402_PAY_TO = env.text("X402_PAY_TO", "")
X402_NETWORK = env.text("X402_NETWORK", "eip155:8453")
X402_ASSET = env.text("X402_ASSET", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")
X402_ASSET_NAME = env.text("X402_ASSET_NAME", "USD Coin")
X402_ASSET_VERSION = env.text("X402_ASSET_VERSION", "2")
X402_ASSET_DECIMALS = env.integer("X402_ASSET_DECIMALS", 6, minimum=2)
X402_CURRENCY = env.text("X402_CURRENCY", "USD")
env.need("X402_PAY_TO", because=("X402_FACILITATOR_URL",))
env.need("X402_FACILITATOR_URL", because=("X402_PAY_TO", "X402_FACILITATOR_TOKEN", "X402_NETWORK", "X402_ASSET"))
env.need("X402_ASSET", because=("X402_NETWORK", "X402_ASSET_NAME", "X402_ASSET_VERSION", "X402_ASSET_DECIMALS"))
for _because in ("STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY_FILE", "X402_FACILITATOR_URL"):
    env.need_extra("payments", because=_because)

JOBS_OPEN = env.integer("JOBS_OPEN", 8, minimum=1)

# Where the processes of one address add up what each has counted (prometheus_client reads the variable itself).
if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    env.folder("PROMETHEUS_MULTIPROC_DIR", DATA_DIR)

# How much an account, or an address without one, may ask for; reads and everything else are counted apart. Without a
# shared cache each process counts for itself.
THROTTLES = {
    "anonymous reads": env.rate("THROTTLE_ANONYMOUS_READS", "300/minute"),
    "anonymous computing": env.rate("THROTTLE_ANONYMOUS_COMPUTING", "30/minute"),
    "reads": env.rate("THROTTLE_READS", "1200/minute"),
    "writes": env.rate("THROTTLE_WRITES", "300/minute"),
}
# How many requests of one process may wait for a change; each holds a thread.
CHANGES_WAITING = env.integer("CHANGES_WAITING", 2, minimum=1)
CACHE_URL = env.url("CACHE_URL", "memory://", schemes=("memory", "redis", "rediss"))
if not CACHE_URL.startswith("memory:"):
    env.need_extra("redis", because="CACHE_URL")
CACHES: dict[str, dict[str, object]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}
    if CACHE_URL.startswith("memory:")
    else {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CACHE_URL},
}

REST_FRAMEWORK = {
    # By name: the parts below marketplace ask for scopes (latentmas.rest.scopes) and need not know how tokens are kept.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "marketplace.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "latentmas.rest.problems.LenientNegotiation",
    "DEFAULT_THROTTLE_CLASSES": ["latentmas.rest.throttles.RouteThrottle"],
    "NUM_PROXIES": env.integer("PROXIES", 0, minimum=0),  # how many of ours X-Forwarded-For has passed
    "EXCEPTION_HANDLER": "latentmas.rest.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = DOCUMENT

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
if PRODUCTION:
    SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", True)
    # Probes and scrapes come past the proxy, over plain HTTP; a redirect would count as an answer.
    SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOG_FORMAT = env.text("LOG_FORMAT", "json" if PRODUCTION else "text", choices=tuple(FORMATTERS))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {name: {"()": formatter} for name, formatter in FORMATTERS.items()},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "jax": {"level": "WARNING"},  # at INFO it names every accelerator it did not find
        "stripe": {"level": "WARNING"},  # below it, addresses and whole answers, with what they let somebody do
        "celery": {"level": "WARNING"},  # at INFO a line for every message; the jobs say themselves what they do
    },
}
