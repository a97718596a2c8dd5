"""Which crawl files to read: names, patterns and crawl ids become a sorted list of files with digests.

In: patterns: local files, folders and globs; `s3://` and other fsspec addresses, with globs; `http(s)://` addresses; and Common
Crawl ids such as `CC-MAIN-2024-10`, whose list of WARC files is fetched. Out: `SourceFile`s, and for each of them the one row of
the stage `sources`:

| column | type | meaning |
|---|---|---|
| source | string | first 16 hex digits of the source's digest |
| file_path | string | path relative to the source root: the longest folder of the pattern without a wildcard |
| format | string | warc (also WET and WAT), arc, parquet or jsonl |
| bytes | i64 | size of the file; null for the files of a published crawl, which are not asked one by one |

Formats go by the end of the name; where that says nothing, a file named outright or by a wildcard is opened and its first bytes
decide. In a folder, hidden files and those of other kinds are passed over. Left out: HTTP folders (servers do not list them).
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

import fsspec
import polars as pl

from stages.stage import Config, Stage
from storage.problem import Problem

COMMON_CRAWL = "https://data.commoncrawl.org/"
SOURCE_COLUMNS: dict[str, pl.DataType] = {
    "source": pl.String(),
    "file_path": pl.String(),
    "format": pl.String(),
    "bytes": pl.Int64(),
}
SUFFIXES: dict[str, str] = {
    **dict.fromkeys([f".{kind}{packed}" for kind in ("warc", "wet", "wat") for packed in ("", ".gz", ".lz4")], "warc"),
    **dict.fromkeys([".arc", ".arc.gz"], "arc"),
    ".parquet": "parquet",
    **dict.fromkeys([".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst"], "jsonl"),
}
_EXPECTED = f"expected a name that ends in {', '.join(SUFFIXES)}"
_FIRST_BYTES = {b"WARC/": "warc", b"\x1f\x8b\x08": "warc", b"\x04\x22\x4d\x18": "warc", b"filedesc:": "arc", b"PAR1": "parquet"}
_DUMP = re.compile(r"CC-MAIN-\d{4}(-\d{2,4})?")
_WILDCARD = re.compile(r"[*?\[]")


class SourcesConfig(Config):
    """Nothing: which files to read is a parameter of the flow, and no part of what a stage is."""


@dataclass(frozen=True)
class SourceFile:
    """A crawl file. `url`: where it lies (for a local file its absolute path). `token`: changes when the content does."""

    url: str
    path: str
    size: int | None
    token: str
    format: str
    published: bool = False
    """Part of a published crawl, which never changes: its address stands for its content."""

    @property
    def local(self) -> bool:
        return "://" not in self.url


def discover(patterns: Sequence[str], *, common_crawl: str = COMMON_CRAWL, limit: int | None = None) -> list[SourceFile]:
    """The files that `patterns` name, sorted by path, each address once. `limit`: files of each Common Crawl id, from the first."""
    found: dict[str, SourceFile] = {}
    for pattern in patterns:
        for source in _expand(pattern, common_crawl, limit):
            found.setdefault(source.url, source)
    if not found:
        raise Problem("No sources are named; expected at least one file, folder, pattern, address or Common Crawl id.")
    return sorted(found.values(), key=lambda source: (source.path, source.url))


def content_digest(source: SourceFile) -> str:
    """SHA-256 of the content of a local file. Remote files are not fetched for it: address, size and token stand for it."""
    if source.local:
        with open(source.url, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    told = [source.url] if source.published else [source.url, str(source.size), source.token]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def digest(source: SourceFile, content: str | None = None) -> str:
    """SHA-256 of a source's path and content, which names it everywhere; `content` is its content digest, if known."""
    return hashlib.sha256(f"{source.path}\n{content or content_digest(source)}".encode()).hexdigest()


def source_row(source: SourceFile, digest: str) -> pl.DataFrame:
    """The one row of a source."""
    row = {"source": digest[:16], "file_path": source.path, "format": source.format, "bytes": source.size}
    return pl.DataFrame([row], schema=SOURCE_COLUMNS)


@contextmanager
def open_source(url: str) -> Iterator[BinaryIO]:
    """A crawl file open for reading at any place; a clear error where it is gone."""
    try:
        file = fsspec.open(url, "rb").open() if "://" in url else open(url, "rb")  # noqa: SIM115
    except FileNotFoundError as gone:
        raise Problem(f"The crawl file {url} is gone. Put it back, or run again without it.") from gone
    with file:
        if not file.seekable():
            raise _from_start_only(url)
        yield cast(BinaryIO, file)


def _expand(pattern: str, common_crawl: str, limit: int | None) -> list[SourceFile]:
    if _DUMP.fullmatch(pattern):
        return _dump(pattern, common_crawl, limit)
    if pattern.startswith(("http://", "https://")):
        return [_http(pattern)]
    if "://" in pattern and not pattern.startswith("file://"):
        return _remote(pattern)
    return _local(pattern.removeprefix("file://"))


def _local(pattern: str) -> list[SourceFile]:
    path = Path(pattern).expanduser()
    named = True
    if path.is_dir():
        root, named = path, False
        files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names if name[0] != "."]
    elif path.exists():
        root, files = path.parent, [path]
    elif _WILDCARD.search(pattern):
        root = Path(_fixed_folder(str(path)))
        files = [Path(name) for name in glob.glob(str(path), recursive=True) if os.path.isfile(name)]
    else:
        raise Problem(f"{pattern} does not exist; expected a file, a folder, a pattern, an address or a Common Crawl id.")
    found = []
    for file in files:
        if format := _format(file.name) or (_sniff(str(file)) if named else None):
            stat = file.stat()
            token = f"{stat.st_size}-{stat.st_mtime_ns}"
            found.append(SourceFile(str(file.absolute()), file.relative_to(root).as_posix(), stat.st_size, token, format))
    return _some(found, pattern)


def _remote(pattern: str) -> list[SourceFile]:
    try:
        system, path = fsspec.core.url_to_fs(pattern)
        if _WILDCARD.search(path):
            root, listing = _fixed_folder(path), system.glob(path, detail=True)
        elif system.isdir(path):
            root, listing = path, system.find(path, detail=True)
        else:
            root, listing = str(PurePosixPath(path).parent), {path: system.info(path)}
    except FileNotFoundError as gone:
        raise Problem(f"{pattern} does not exist.") from gone
    except ImportError as missing:
        raise ImportError(f"{pattern}: {missing}. For s3://, install winnow[s3].") from missing
    except Exception as fault:  # botocore's and aiohttp's errors share no base with OSError
        raise Problem(f"{pattern} cannot be listed: {fault}. Check the address, the endpoint and the credentials.") from fault
    found = []
    for name, info in cast(Mapping[str, Mapping[str, Any]], listing).items():
        if info.get("type") != "file":
            continue
        url = system.unstrip_protocol(name)
        if format := _format(url) or (_sniff(url) if root != path else None):
            relative = name.removeprefix(root).lstrip("/")
            found.append(SourceFile(url, relative, info.get("size"), _token(info, url), format))
    return _some(found, pattern)


def _http(url: str) -> SourceFile:
    path = unquote(urlsplit(url).path)
    if "*" in path:
        raise Problem(
            f"{url}: a web server does not list its files. Name each address, or use a folder, s3:// or a Common Crawl id."
        )
    try:
        info = fsspec.filesystem("http").info(url)
    except Exception as fault:  # see _remote
        raise Problem(f"{url} cannot be reached: {fault.__cause__ or fault}. Check the address and the network.") from fault
    size = info.get("size") or 0
    with open_source(url) as file:
        try:
            file.seek(max(0, size - 1))
            file.read(1)
        except ValueError as refused:
            raise _from_start_only(url) from refused
    return SourceFile(url, PurePosixPath(path).name, size, _token(info, url), _format(url) or _sniff(url))


def _dump(name: str, base: str, limit: int | None) -> list[SourceFile]:
    base = base.rstrip("/") + "/"
    listing = f"{base}crawl-data/{name}/warc.paths.gz"
    try:
        with fsspec.open(listing, "rb") as file:
            paths = gzip.decompress(file.read()).decode().split()
    except Exception as fault:  # see _remote
        raise Problem(
            f"The list of files of {name} cannot be read from {listing}: {fault}. Check the id and the network."
        ) from fault
    return [SourceFile(base + path, path, None, base + path, _format(path) or "warc", published=True) for path in paths[:limit]]


def _format(name: str) -> str | None:
    """The format that the end of a name tells, if it does."""
    tail = (urlsplit(name).path if "://" in name else name).lower()
    return next((format for suffix, format in SUFFIXES.items() if tail.endswith(suffix)), None)


def _sniff(url: str) -> str:
    """The format that a file's first bytes tell."""
    with open_source(url) as file:
        head = file.read(16)
    format = next((format for first, format in _FIRST_BYTES.items() if head.startswith(first)), None)
    if format is None:
        raise Problem(f"{url} is no crawl file that can be read; {_EXPECTED}.")
    return format


def _token(info: Mapping[str, Any], url: str) -> str:
    """What the store says of a file's state: its ETag, else when it was last modified."""
    for name in ("ETag", "etag", "Last-Modified", "LastModified", "last_modified", "mtime", "created"):
        if info.get(name):
            return f"{info.get('size')}-{info[name]}"
    raise Problem(f"{url} has neither an ETag nor a date, so a change would go unseen. Download it first.")


def _fixed_folder(pattern: str) -> str:
    """The longest folder at the start of a pattern without a wildcard."""
    folder, slash, _ = _WILDCARD.split(pattern, maxsplit=1)[0].rpartition("/")
    return folder or slash or "."


def _some(found: list[SourceFile], pattern: str) -> list[SourceFile]:
    if not found:
        raise Problem(f"{pattern} names no crawl file; {_EXPECTED}.")
    return found


def _from_start_only(url: str) -> Problem:
    return Problem(f"{url} can only be read from its start: its server answers no range requests. Download it first.")


# The flow knows the files and calls `source_row` for each; as a stage it stands at the head of every recipe and schema.
SOURCES = Stage(name="sources", version=1, run=source_row, config=SourcesConfig, adds=SOURCE_COLUMNS)
