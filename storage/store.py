"""A store: one folder, local or behind any fsspec URL, that holds every artifact. Paths inside it are POSIX and relative.

Layout:

    {stage}/{key}/recipe.json               what was done
    {stage}/{key}/{shard}.parquet           the data, and other files of whole stages
    {stage}/{key}/snapshots/{id}.json       which files make up one dataset
    runs/{time}-{id}.json                   who made what, when, from which snapshots
    .winnow/                                memos and locks: deleting it costs time, nothing else

Writing is atomic: locally a temporary name, fsync, rename; on an object store one PUT at the final name.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from storage.problem import Problem

TEMPORARY = ".partial-"


def unfinished(path: str) -> bool:
    """Whether a file lies under a temporary name: left by a run that died, where none is at work."""
    return any(name.startswith(TEMPORARY) for name in path.split("/"))


@dataclass(frozen=True)
class Store:
    url: str

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        try:
            fs, root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise Problem(
                f"cannot open the store {self.url!r}: {error}. Expected a local folder or an fsspec URL such as s3://bucket/prefix; "
                "for s3:// install the extra: pip install -e '.[s3]'"
            ) from error
        return fs, str(root).rstrip("/")

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return Store, (self.root if self.is_local else self.url,)  # a worker may have another working directory

    @property
    def fs(self) -> Any:
        return self._opened[0]

    @property
    def root(self) -> str:
        return self._opened[1]

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    def full(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def local(self, path: str) -> Path:
        """Where `path` lies on this machine; only for a local store."""
        return Path(self.full(path))

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError where there is no such file."""
        data: bytes = self.fs.cat_file(self.full(path))
        return data

    def write(self, path: str, data: bytes) -> None:
        """All of `data` at `path`, or nothing there."""
        if not self.is_local:
            self.fs.pipe_file(self.full(path), data)
            self.fs.invalidate_cache()
            return
        final = self.local(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.parent / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{final.name}"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself must survive a power cut
        finally:
            os.close(folder)

    def create(self, path: str, data: bytes) -> bool:
        """On an object store: write `data` at `path` only if nothing is there (conditional PUT); says whether it did."""
        try:
            self.fs.pipe_file(self.full(path), data, mode="create")
        except FileExistsError:
            return False
        finally:
            self.fs.invalidate_cache()
        return True

    def remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self.full(path))
        if not self.is_local:
            self.fs.invalidate_cache()

    def sizes(self, folder: str) -> dict[str, int]:
        """Name -> bytes of the finished files directly in `folder`; empty where there is no such folder."""
        try:
            entries = self.fs.ls(self.full(folder), detail=True)
        except FileNotFoundError:
            return {}
        files = {entry["name"].rpartition("/")[2]: int(entry["size"]) for entry in entries if entry["type"] == "file"}
        return {name: files[name] for name in sorted(files) if name and not name.startswith(TEMPORARY)}

    def walk(self, folder: str) -> Iterator[tuple[str, int]]:
        """(relative path, bytes) of every file below `folder`, in order, unfinished ones included."""
        found = self.fs.find(self.full(folder), detail=True)
        for path in sorted(found):
            yield path.removeprefix(self.root).lstrip("/"), int(found[path]["size"])

    def folders(self, folder: str) -> list[str]:
        """Names of the folders directly in `folder`, sorted."""
        try:
            entries = self.fs.ls(self.full(folder), detail=True)
        except FileNotFoundError:
            return []
        return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory")

    def check(self) -> None:
        """Raises Problem unless files can be written, read and removed here."""
        probe = f".winnow/probe-{secrets.token_hex(4)}"
        try:
            self.write(probe, b"winnow")
            self.read(probe)
            self.remove(probe)
        except Problem:
            raise
        except Exception as error:  # whatever a file system or a cloud client raises, the person needs one line
            raise Problem(
                f"the store {self.url!r} cannot be used: {type(error).__name__}: {error}. Expected a folder or bucket that this user can "
                "read and write; check the path, its permissions and free space, or give another with --store"
            ) from error
