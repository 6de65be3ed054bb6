"""The cases, grouped by area."""

from . import (broker_admin, clients, consumers, later, namesrv, offsets, operations, pull, query, registration,
               send, send_refused)

AREAS = [namesrv, registration, send, send_refused, pull, offsets, query, clients, consumers, broker_admin,
         operations, later]


def every():
    seen = set()
    for area in AREAS:
        for case in area.CASES:
            assert case.id not in seen, f"{case.id} twice"
            seen.add(case.id)
            yield case
