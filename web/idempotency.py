"""The header Idempotency-Key: a caller's name for a request that must not be done twice."""

from __future__ import annotations

import hashlib
import re

import orjson
from flask import request
from pydantic import BaseModel

from app.errors import Fault, ValidationFailed
from app.store.keys import RequestKey
from web.callers import caller

HEADER = "Idempotency-Key"
#: Said with the answer to a request that had been carried out before.
REPLAYED = {"Idempotent-Replayed": "true"}

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def read_key(body: BaseModel) -> RequestKey | None:
    """Read the request's key, if it has one. Raises ValidationFailed where it is none.

    Bodies are the same if they are the same JSON, in whatever order and spacing.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        message = f"the header {HEADER} must be 1 to 255 visible characters of ASCII"
        raise ValidationFailed([Fault("", message)], "The header is not valid.")
    document = body.model_dump(by_alias=True, exclude_unset=True)
    text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    route = f"{request.method} {request.path}"
    return RequestKey(caller().owner_id, route, key, hashlib.sha256(text).hexdigest())
