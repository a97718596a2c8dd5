"""Numbers as people read them: 12,345; 438k; 3.4 MB; 5 min ago."""

from datetime import UTC, datetime


def count(number: int) -> str:
    return f"{number:,}"


def compact(number: float) -> str:
    """At most four digits: 0.6505, 47, 1,358, 17.7k, 438k, 2.1M."""
    if abs(number) < 10_000:
        return f"{number:,.4g}"
    for unit, length in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if abs(number) < length * 999.5:
            return f"{number / length:.3g}{unit}"
    return f"{number:.3g}"


def size(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:,.0f} {unit}" if unit == "bytes" or number >= 100 else f"{number:,.1f} {unit}"
        number /= 1000
    raise AssertionError("unreachable: the last unit always returns")


def duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length * 1.5:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(moment: str) -> str:
    """How long ago an ISO time was; the text itself where it is none."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{duration(max(0.0, (datetime.now(UTC) - then).total_seconds()))} ago" if then.tzinfo else moment
