#!/usr/bin/env python
"""Run an administrative command of the marketplace."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "latentmas.settings")
    from latentmas.extras import MissingExtra, absent

    if absent("server"):
        raise MissingExtra("server", "manage.py")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
