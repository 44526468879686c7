"""
Providers: a call -> an HTTP request, wire events -> chunks, errors -> exceptions. Pure mapping.

One file per dialect, one row per service in ``registry``. Dialects are imported when first used.
"""

from streamkit.providers.base import Decoder, Endpoint, Provider, Resume
from streamkit.providers.failure import http_failure, request_id, stream_failure
from streamkit.providers.finish import FinishClass, finish_class
from streamkit.providers.registry import BUILTIN, Service, Target, register, resolve

__all__ = [
    "BUILTIN",
    "Decoder",
    "Endpoint",
    "FinishClass",
    "Provider",
    "Resume",
    "Service",
    "Target",
    "finish_class",
    "http_failure",
    "register",
    "request_id",
    "resolve",
    "stream_failure",
]
