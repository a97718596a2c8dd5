"""What is said to a client whose request is not served, in the API's own shape: {"error": {"message", "type", "param", "code"}}.

| status | type | code |
|---|---|---|
| 400 | invalid_request_error | null, or context_length_exceeded, unsupported_value, unknown_parameter |
| 401 | invalid_request_error | invalid_api_key |
| 403 | invalid_request_error | forbidden |
| 404 | invalid_request_error | model_not_found, unknown_url |
| 405, 408, 413, 415 | invalid_request_error | null |
| 429 | rate_limit_error | queue_full |
| 500 | server_error | null |
"""

from typing import Any

from pydantic import ValidationError


class Refused(Exception):
    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        types = {429: "rate_limit_error", 500: "server_error"}
        self.document: dict[str, Any] = {
            "error": {
                "message": message,
                "type": types.get(status, "invalid_request_error"),
                "param": param,
                "code": code,
            }
        }


def invalid(error: ValidationError) -> Refused:
    """The first thing that is wrong with a body."""
    first = error.errors(include_url=False)[0]
    where = [str(part) for part in first["loc"]]
    if first["type"] == "json_invalid":
        return Refused(f"the body is not JSON: {first['msg']}")
    param = ".".join(where) or None
    if first["type"] == "extra_forbidden":
        return Refused(f"unknown parameter: {param}", param, "unknown_parameter")
    text = first["msg"].removeprefix("Value error, ")
    found = "" if first["type"] == "missing" or not where else f"; found {_short(first['input'])}"
    return Refused(f"{param or 'the body'}: {text}{found}", param)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
