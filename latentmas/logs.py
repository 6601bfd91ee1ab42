"""Log lines as text for people or as JSON for machines; both name the request and the job they belong to."""

import json
import logging
from datetime import UTC, datetime

from latentmas import request_ids

TEXT = "%(asctime)s %(levelname)s %(name)s%(ids)s: %(message)s"
# What every record has; anything else was given as `extra` by the caller.
STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "ids", "taskName"}
STANDARD |= {"request"}  # Django's own extra, which would write down the whole address with its query


class TextFormatter(logging.Formatter):
    """`2026-01-01 12:00:00,000 INFO latentmas.rest.observing [request 0f3a]: GET /healthz`."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        named = {"request": request_ids.current(), "job": request_ids.current_job()}
        found = ", ".join(f"{name} {value}" for name, value in named.items() if value)
        record.ids = f" [{found}]" if found else ""
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, ids, whatever the caller gave as `extra`, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = {"request_id": request_ids.current(), "job_id": request_ids.current_job()}
        line |= {name: value for name, value in known.items() if value}
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD and name not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


FORMATTERS = {"text": TextFormatter, "json": JsonFormatter}
