"""Compilation to machine code, once: numba's cache, in a folder named after the sources that went into it.

numba compares only the file that a function stands in; ours take constants and inlined functions from one another, so a change in one file
would leave stale code of another. The cache lies in `~/.cache/winnow/compiled/`, or where NUMBA_CACHE_DIR says.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import config

_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
_DIGEST = hashlib.sha256(b"\0".join(source.read_bytes() for source in _SOURCES)).hexdigest()[:12]
FOLDER = Path(config.CACHE_DIR or Path.home() / ".cache" / "winnow" / "compiled") / f"extraction-{_DIGEST}"


def compiled(function: Callable[..., Any]) -> Any:
    """`function` in machine code, made at its first call or read from the cache."""
    return _cached(function)


def compiled_bare(function: Callable[..., Any]) -> Any:
    """The same without reference counts: it takes arrays and makes none. A third faster where small functions call one another."""
    return _cached(function, _nrt=False)


def _cached(function: Callable[..., Any], **options: bool) -> Any:
    before = config.CACHE_DIR
    config.CACHE_DIR = str(FOLDER)
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        config.CACHE_DIR = before
