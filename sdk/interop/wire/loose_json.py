"""A JSON reader as lenient as fastjson's writer is: unquoted integer keys, objects as keys."""

import json
import re

SPACE = re.compile(r"[ \t\r\n]*")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
BARE = re.compile(r"[-+.\w$]+")
WORDS = {"true": True, "false": False, "null": None}


def is_strict(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


def loads(text):
    value, at = _value(text, _skip(text, 0))
    if _skip(text, at) != len(text):
        raise ValueError(f"trailing text at {at}: {text[at:at + 30]!r}")
    return value


def _skip(text, at):
    return SPACE.match(text, at).end()


def _value(text, at):
    if at >= len(text):
        raise ValueError("unexpected end")
    if text[at] == "{":
        return _object(text, at + 1)
    if text[at] == "[":
        return _array(text, at + 1)
    if text[at] == '"':
        match = STRING.match(text, at)
        if not match:
            raise ValueError(f"open string at {at}")
        return json.loads(match.group(), strict=False), match.end()
    match = BARE.match(text, at)
    if not match:
        raise ValueError(f"unexpected {text[at]!r} at {at}")
    word = match.group()
    if word in WORDS:
        return WORDS[word], match.end()
    return (float(word) if re.search("[.eE]", word) else int(word)), match.end()


def _object(text, at):
    out = {}
    at = _skip(text, at)
    while text[at:at + 1] != "}":
        key, at = _value(text, at)
        at = _skip(text, at)
        if text[at:at + 1] != ":":
            raise ValueError(f"no colon at {at}")
        value, at = _value(text, _skip(text, at + 1))
        out[key if isinstance(key, str) else json.dumps(key, sort_keys=True)] = value
        at = _comma(text, at, "}")
    return out, at + 1


def _array(text, at):
    out = []
    at = _skip(text, at)
    while text[at:at + 1] != "]":
        value, at = _value(text, at)
        out.append(value)
        at = _comma(text, at, "]")
    return out, at + 1


def _comma(text, at, end):
    at = _skip(text, at)
    if text[at:at + 1] == ",":
        return _skip(text, at + 1)
    if text[at:at + 1] != end:
        raise ValueError(f"no comma or {end} at {at}")
    return at
