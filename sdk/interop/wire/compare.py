"""Turns an answer into what a client can rely on, and names the fields that differ."""

import json
import re

import loose_json
import records

# Values that legitimately differ from run to run; their presence is still compared.
MASKED_EXT = {"msgId", "transactionId", "batchUniqId", "recallHandle", "indexLastUpdateTimestamp",
              "indexLastUpdatePhyoffset", "timestamp", "popTime", "totalTopicNum", "totalGroupNum", "suggestWhichBrokerId", "version", "dataVersion"}
MASKED_KEYS = {"dataVersion", "mappingDataVersion", "lastUpdateTimestamp", "lastUpdateTime", "lastTimestamp",
               "earliestTime", "clientAddr", "remoteIP", "minTimeStamp", "maxTimeStamp", "consumeTimeStamp",
               "delayTime", "physicalOffset", "physicOffset", "tps", "avgpt", "version", "storeTimestamp",
               "storeHost", "bornHost", "bornTimestamp", "crc", "consumeTps", "topicPutTps", "timeStamp", "minTimeStampStr",
               "maxTimeStampStr", "consumeTimeStampStr", "physicSize"}
MASKED_PROPERTIES = {"UNIQ_KEY", "CLUSTER", "ORIGIN_MESSAGE_ID", "1ST_POP_TIME", "POP_CK"}
JSON_START = re.compile(rb"\s*[{\[]")


def observe(answer, step, names):
    """{field: value} of one answer; `answer` is a Frame, or the name of what happened instead."""
    if isinstance(answer, str):
        return {"outcome": answer}
    seen = {"code": answer.code, "encoding": answer.encoding}
    if answer.code != 0:  # nobody reads the remark of a success
        seen["remark"] = "null" if answer.remark is None else "text"
    for name, value in (answer.ext or {}).items():
        seen[f"ext.{name}"] = "*" if name in MASKED_EXT else names.hide(value)
    kind, body = parse_body(answer.body, step.body_kind if answer.code == 0 else None)
    if step.project and answer.code == 0:
        try:
            body = step.project(body, names)
        except Exception as error:
            body = f"unexpected shape: {error!r}"
    seen["body"] = kind
    if kind == "json":
        seen["body.strict"] = loose_json.is_strict(answer.body.decode())
    flatten("body", mask(body), names, seen)
    return {field: "*" if field in step.ignore else value for field, value in seen.items()}


def parse_body(data, kind):
    if not data:
        return "none", None
    if kind == "records":
        try:
            return "records", records.decode_all(data)
        except Exception as error:
            return "broken records", repr(error)
    if kind is None and JSON_START.match(data):
        kind = "json"
    if kind == "json":
        try:
            return "json", loose_json.loads(data.decode())
        except ValueError as error:
            return "broken json", str(error)
    if kind == "text":
        pairs = (line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
        return "text", {name.strip(): value.strip() for name, value in pairs}
    return "raw", data.decode("utf-8", "replace")


def mask(value):
    if isinstance(value, dict):
        return {key: "*" if key in MASKED_KEYS and inner is not None else
                mask_properties(inner) if key == "properties" and isinstance(inner, dict) else mask(inner)
                for key, inner in value.items()}
    if isinstance(value, list):
        return [mask(inner) for inner in value]
    return value


def mask_properties(properties):
    return {key: "*" if key in MASKED_PROPERTIES else value for key, value in properties.items()}


def flatten(path, value, names, out):
    """Leaves by path; lists of plain things are sorted sets, since their order means nothing."""
    if isinstance(value, dict):
        if not value:
            out[path + ".{}"] = "empty"
        for key, inner in value.items():
            flatten(f"{path}.{names.hide(key)}", inner, names, out)
    elif isinstance(value, list):
        hidden = [names.hide(json.dumps(inner, sort_keys=True, ensure_ascii=False)) for inner in value]
        if value and isinstance(value[0], dict) and "queueOffset" in value[0]:
            out[f"{path}.records"] = len(value)
            for at, inner in enumerate(value):
                flatten(f"{path}[{at}]", inner, names, out)
        else:
            out[path] = sorted(hidden)
    elif value is not None:
        out[path] = names.hide(value)


def differences(left, right):
    """[(field, left, right)] where the two observations disagree. Another code, another kind of body, or
    another number of records explains the rest, so only that is named."""
    found = {}
    for name in sorted(left.keys() | right.keys()):
        a, b = left.get(name, "absent"), right.get(name, "absent")
        if a != b:
            found[name] = (a, b)
    for name in ("outcome", "code", "body", "body.records"):
        if name in found:
            kept = [name] if name in ("outcome", "code") else [
                key for key in found if key == name or not key.startswith("body")]
            found = {key: found[key] for key in kept}
    return [(name, a, b) for name, (a, b) in found.items()]
