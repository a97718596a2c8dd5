"""The process in which one SQL query of a visitor runs: a request on stdin, an answer on stdout, both JSON, and then it is gone.

What keeps a query in: the shards are opened read-only before it is read, and DuckDB is given those open files as the file system
`shard://`; its own local file system is disabled, external access and extensions are off, the configuration is locked, one SELECT is the only
statement taken. The kernel bounds memory, processor time, open files and the size of the answer. It is started with an empty
environment in an empty folder. Run as a file, isolated (`python -I`), so that it imports nothing from where it stands.

    request  {"sql", "views": [[name, [path, ...]], ...]}
    answer   {"columns": [[name, type], ...], "rows", "more"} or {"error"}
"""

import datetime
import io
import json
import math
import os
import resource
import sys
from decimal import Decimal
from typing import Any

import duckdb
import fsspec

SECONDS = 10
MEMORY = 2_000_000_000  # address space: DuckDB's own limit, Python, and room for what neither accounts for
ROWS = 1_000
ANSWER = 1_000_000  # bytes
CELL = 2_000  # characters of a value
COLUMNS = 300
SETTINGS = (
    "threads=1",
    "memory_limit='700MB'",
    "temp_directory=''",
    "max_temp_directory_size='0B'",
    "autoinstall_known_extensions=false",
    "autoload_known_extensions=false",
    "python_enable_replacements=false",
    "disabled_filesystems='LocalFileSystem'",
    "allowed_directories=[]",
)


class Shards(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Open files under made-up names, to be read and nothing else."""

    protocol = "shard"
    cachable = False

    def __init__(self, files: dict[str, int]) -> None:
        super().__init__()
        self.files = files

    def open(self, path: str, mode: str = "rb", **options: Any) -> io.RawIOBase:
        if mode != "rb":
            raise PermissionError("the data can only be read")
        return Shard(self._file(path))

    def exists(self, path: str, **options: Any) -> bool:
        return self._strip_protocol(path) in self.files

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return {"name": path, "size": os.fstat(self._file(path)).st_size, "type": "file"}

    def modified(self, path: str) -> datetime.datetime:
        return datetime.datetime(2000, 1, 1)  # shards never change

    def glob(self, path: str, **options: Any) -> list[str]:
        return [self._strip_protocol(path)] if self.exists(path) else []

    def _file(self, path: str) -> int:
        return self.files[self._strip_protocol(path)]


class Shard(io.RawIOBase):
    """A place of its own in a file that is opened once, however often it is read."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self.file = file
        self.at = 0

    def read(self, size: int = -1) -> bytes:
        data = os.pread(self.file, size if size >= 0 else os.fstat(self.file).st_size - self.at, self.at)
        self.at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, os.fstat(self.file).st_size)[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def main() -> None:
    request = json.load(sys.stdin)
    views: list[tuple[str, list[str]]] = request["views"]
    count = sum(len(paths) for _, paths in views)
    _limit(count)
    try:
        answer = query(request["sql"], _opened(views))
    except MemoryError:
        answer = {"error": "the query needs more memory than it may have; ask for fewer columns or rows"}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to tidy, and DuckDB's bindings complain when they are


def _limit(files: int) -> None:
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS + 1),
        (resource.RLIMIT_FSIZE, 2 * ANSWER),
        (resource.RLIMIT_NOFILE, files + 32),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _opened(views: list[tuple[str, list[str]]]) -> dict[str, dict[str, int]]:
    return {
        name: {f"{at}-{number}.parquet": os.open(path, os.O_RDONLY) for number, path in enumerate(paths)}
        for at, (name, paths) in enumerate(views)
    }


def query(sql: str, views: dict[str, dict[str, int]]) -> dict[str, Any]:
    """`views`: for each, its files by name."""
    connection = duckdb.connect(":memory:")
    files = {name: file for shards in views.values() for name, file in shards.items()}
    connection.register_filesystem(Shards(files))
    for setting in (
        *SETTINGS,
        f"allowed_paths={[f'shard://{name}' for name in files]!r}",
        "enable_external_access=false",
        "lock_configuration=true",
    ):
        connection.execute(f"SET {setting}")
    try:
        for view, shards in views.items():
            connection.execute(f'CREATE VIEW "{view}" AS SELECT * FROM read_parquet({[f"shard://{name}" for name in shards]!r})')
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
            return {"error": f"found {kinds}; expected one SELECT statement (also WITH, FROM, VALUES, DESCRIBE or SUMMARIZE)"}
        found = connection.execute(statements[0])
        return _answer(found)
    except duckdb.OutOfMemoryException:
        return {"error": "the query needs more memory than it may have; ask for fewer columns or rows, or a coarser grouping"}
    except duckdb.PermissionException as error:
        return {"error": f"a query sees {', '.join(views)}, and no file, network or extension ({_line(error)})"}
    except (duckdb.Error, ImportError) as error:
        return {"error": _line(error)}


def _answer(found: Any) -> dict[str, Any]:
    columns = [[str(name)[:200], str(kind)[:200]] for name, kind, *_ in found.description]
    if len(columns) > COLUMNS:
        return {"error": f"{len(columns):,} columns; {COLUMNS} are the most"}
    rows: list[list[Any]] = []
    size = 2 * len(json.dumps(columns))
    while batch := found.fetchmany(50):
        for values in batch:
            row = [_plain(value) for value in values]
            size += len(json.dumps(row)) + 2
            if size > ANSWER or len(rows) == ROWS:
                return {"columns": columns, "rows": rows, "more": True}
            rows.append(row)
    return {"columns": columns, "rows": rows, "more": False}


def _plain(value: Any) -> Any:
    """A value that JSON has, of at most CELL characters."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**38 else str(value)[:CELL]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value[: CELL // 2].hex()
    if isinstance(value, list | dict | tuple):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)
    return text if len(text) <= CELL else f"{text[:CELL]} …"


def _line(error: Exception) -> str:
    """DuckDB's words without the drawing of the place, in one line."""
    lines: list[str] = []
    for line in str(error).splitlines():
        if line.startswith(("LINE ", "Possible solutions")):
            break
        lines.append(line.strip())
    return " ".join(line for line in lines if line)[:600].rstrip(".")


if __name__ == "__main__":
    main()
