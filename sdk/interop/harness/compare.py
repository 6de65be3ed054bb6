"""What differs between the transcripts of two servers, and which differences are written down."""

import re

from . import paths


def allowed(page=None):
    """The `scenario.fact` names in the table of docs/differences.md."""
    path = page or paths.DIFFERENCES
    if not path.is_file():
        return set()
    rows = re.findall(r"^\|\s*`?([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)`?\s*\|", path.read_text(), re.MULTILINE)
    return set(rows)


def differences(ours, reference, listed):
    """One sentence for every fact that differs and is not listed."""
    scenario = ours["scenario"]
    found = []
    for fact in sorted(set(ours["facts"]) | set(reference["facts"])):
        mine, other = ours["facts"].get(fact, "absent"), reference["facts"].get(fact, "absent")
        if mine != other and f"{scenario}.{fact}" not in listed:
            found.append(f"{scenario}.{fact}: {_shown(mine, other)} here, {_shown(other, mine)} there")
    return found


def _shown(value, other):
    """A value, or of two maps only what is different."""
    if isinstance(value, dict) and isinstance(other, dict):
        value = {key: value.get(key, "absent") for key in sorted(set(value) | set(other)) if value.get(key) != other.get(key)}
    return str(value)
