"""Whether traces are wanted, by the variables that OpenTelemetry itself reads."""

from __future__ import annotations

import os
from collections.abc import Mapping

#: Each of these asks for traces, whatever it says besides.
_ASKING = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTER = "OTEL_TRACES_EXPORTER"
_DISABLED = "OTEL_SDK_DISABLED"


def trace_exporter(environ: Mapping[str, str] | None = None) -> str | None:
    """The exporter that OTEL_* variables ask for, `otlp` or `console`; None for no traces."""
    given = os.environ if environ is None else environ
    if given.get(_DISABLED, "").strip().lower() == "true":
        return None
    named = given.get(_EXPORTER, "").strip().lower()
    if named:
        return None if named == "none" else named
    return "otlp" if any(given.get(name, "").strip() for name in _ASKING) else None
