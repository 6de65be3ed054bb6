"""Requests signed as RocketMQ's clients do it: HMAC-SHA1 over the values of all fields, by the order of their names, and the body."""

import base64
import hashlib
import hmac


def signed(ext, body, user, secret):
    """The fields with the user's name and signature among them."""
    ext = {key: str(value) for key, value in ext.items()} | {"AccessKey": user}
    text = "".join(value for _, value in sorted(ext.items())).encode() + body
    return ext | {"Signature": base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()}
