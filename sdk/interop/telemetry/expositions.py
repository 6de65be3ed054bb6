"""Readers of what a node shows to Prometheus, which take nothing that breaks a rule of its format: Prometheus' text, OpenMetrics' text, and
Prometheus' protobuf. They raise ValueError."""

import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# A line feed never stands in a line: the lines are split at it.
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"')
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|Inf)|NaN")
EXEMPLAR = re.compile(r' # \{([^}]*)\} (\S+)(?: (\S+))?')
UNESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


def unescaped(value):
    return re.sub(r'\\(.)', lambda found: UNESCAPED[found[1]], value)


def sample(line):
    """Name, labels, value, and what follows them."""
    name = NAME.match(line)
    if not name:
        raise ValueError(f"no name: {line[:200]!r}")
    at, labels = name.end(), {}
    if line[at:at + 1] == "{":
        at += 1
        while line[at:at + 1] != "}":
            label = LABEL.match(line, at)
            if not label or label[1] in labels:
                raise ValueError(f"no label at {at}: {line[:200]!r}")
            labels[label[1]] = unescaped(label[2])
            at = label.end() + (line[label.end():label.end() + 1] == ",")
        at += 1
    value = NUMBER.match(line, at + 1) if line[at:at + 1] == " " else None
    if not value:
        raise ValueError(f"no value: {line[:200]!r}")
    return name[0], labels, float(value[0]), line[value.end():]


def _samples(lines, rest_may_be):
    families, seen = {}, set()
    for line in lines:
        name, labels, value, rest = sample(line)
        if not rest_may_be(rest):
            raise ValueError(f"{rest!r} after the value of {line[:200]!r}")
        key = (name, frozenset(labels.items()))
        if key in seen:
            raise ValueError(f"twice: {line[:200]!r}")
        seen.add(key)
        families.setdefault(name, []).append((labels, value))
    return families


def text(body):
    """Prometheus' text: lists of labels and value, by name."""
    if not body.endswith("\n"):
        raise ValueError("the last line has no end")
    lines = body[:-1].split("\n")
    return _samples((line for line in lines if not line.startswith("#")), lambda rest: not rest)


def open_metrics(body):
    """OpenMetrics 1.0.0: as above, each family after its metadata, and in one piece."""
    if not body.endswith("\n# EOF\n"):
        raise ValueError("no end")
    lines, families, current, kinds = body[:-len("# EOF\n")].rstrip("\n").split("\n"), [], None, {}
    for line in lines:
        if line.startswith("#"):
            found = re.fullmatch(r'# (TYPE|HELP|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: ((?:[^"\\]|\\["\\n])*))?', line)
            if not found:
                raise ValueError(f"no metadata: {line[:200]!r}")
            if found[1] == "TYPE":
                if found[2] in kinds:
                    raise ValueError(f"the family {found[2]} comes twice")
                kinds[found[2]], current = found[3], found[2]
            elif found[2] != current:
                raise ValueError(f"metadata of another family: {line[:200]!r}")
            continue
        ends = {"counter": ("_total",), "gauge": ("",), "unknown": ("",), "histogram": ("_bucket", "_sum", "_count")}[kinds[current]]
        if NAME.match(line)[0] not in [current + end for end in ends]:
            raise ValueError(f"not of {current}: {line[:200]!r}")
        families.append(line)
    return _samples(families, lambda rest: not rest or EXEMPLAR.fullmatch(rest))


def _varint(data, at):
    value = shift = 0
    while True:
        value, shift = value | (data[at] & 0x7F) << shift, shift + 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _fields(data):
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at:at + size], at + size
        elif kind == 2:
            size, at = _varint(data, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                raise ValueError("cut off")
        else:
            raise ValueError(f"wire type {kind}")
        yield number, value
    if at != len(data):
        raise ValueError("cut off")


def protobuf(data):
    """Delimited messages of `io.prometheus.client.MetricFamily`: names and label values, which are text. How many series."""
    at = series = 0
    while at < len(data):
        size, at = _varint(data, at)
        family, at = data[at:at + size], at + size
        if len(family) != size:
            raise ValueError("cut off")
        seen = set()
        for number, value in _fields(family):
            if number in (1, 2):
                value.decode()
            elif number == 4:
                labels = frozenset(tuple(text.decode() for _, text in _fields(pair)) for own, pair in _fields(value) if own == 1)
                if labels in seen:
                    raise ValueError(f"twice: {labels}")
                seen.add(labels)
                series += 1
    return series
