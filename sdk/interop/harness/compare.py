"""What differs between the transcripts of two servers, and which differences are written down."""

from wire import known

from . import paths


def listed():
    """The rows `clients.scenario.fact` of docs/differences.md."""
    return known.Rows("clients.", paths.DIFFERENCES)


def differences(ours, reference, rows):
    """One sentence for every fact that differs and is not listed."""
    scenario = ours["scenario"]
    found = []
    for fact in sorted(set(ours["facts"]) | set(reference["facts"])):
        mine, other = ours["facts"].get(fact, "absent"), reference["facts"].get(fact, "absent")
        name = f"clients.{scenario}.{fact}"
        if mine != other and not rows.covers(name, mine):
            found.append(f"{name}: {_shown(mine, other)} here, {_shown(other, mine)} there")
    return found


def _shown(value, other):
    """A value, or of two maps only what is different."""
    if isinstance(value, dict) and isinstance(other, dict):
        value = {key: value.get(key, "absent") for key in sorted(set(value) | set(other)) if value.get(key) != other.get(key)}
    return str(value)
