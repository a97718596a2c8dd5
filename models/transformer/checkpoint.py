"""Checkpoints that prove themselves: one file each, named after its step and the digest of its content.

    step-000000120-0f343b0931126a20f133d67c2b018a3b.pt

Written under a temporary name, synced, then renamed: a process that is killed leaves a whole checkpoint or none. What was cut short or
altered afterwards does not have its digest: it is named, removed, and the one before is taken. Files are read by
`torch.load(weights_only=True)`: tensors, numbers, strings, lists and dicts, never code.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.unusable import Unusable

_NAME = re.compile(r"step-(\d{9,})-([0-9a-f]{32})\.pt")
_TEMPORARY = ".partial-"


@dataclass(frozen=True)
class Checkpoints:
    folder: Path
    identity: Mapping[str, str]
    """What a checkpoint must have been made of to be gone on with: name -> short text."""
    every_steps: int = 0
    """Write one every so many steps; 0: not by steps."""
    every_seconds: float = 60.0
    """Write one when so much time has passed, later where writing is slow; 0: not by time."""
    keep: int = 2

    def save(self, step: int, content: Mapping[str, Any]) -> Path:
        """Write one, then remove all but the newest `keep`, and others of the same step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{_TEMPORARY}{os.getpid()}"
        try:
            with temporary.open("wb") as file:
                torch.save({**content, "step": step, "identity": dict(self.identity)}, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise Unusable(
                f"cannot write a checkpoint into {self.folder}: {error.strerror}; expected room for "
                f"{self.keep + 1} of them. Free some space and run again: it goes on from {described(self.newest())}"
            ) from error
        final = self.folder / f"step-{step:09}-{_digest(temporary)}.pt"
        temporary.replace(final)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself must survive a power cut
        finally:
            os.close(folder)
        same = [path for path in self.files() if path.name.startswith(f"step-{step:09}-") and path != final]
        older = [path for path in self.files() if path not in (final, *same)]
        for old in (*same, *older[max(0, self.keep - 1) :]):
            old.unlink(missing_ok=True)
        return final

    def files(self) -> list[Path]:
        """The newest first, unproven."""
        if not self.folder.is_dir():
            return []
        named = [(int(match[1]), path) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        return [path for _, path in sorted(named, reverse=True)]

    def newest(self) -> Path | None:
        files = self.files()
        return files[0] if files else None

    def load(self, say: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest that is whole, or None. Raises Unusable where it was made of something else."""
        for left in self.folder.glob(f"{_TEMPORARY}*") if self.folder.is_dir() else ():
            left.unlink(missing_ok=True)
        for path in self.files():
            if _digest(path) != path.name[-35:-3]:
                say(f"{path.name} is damaged: its content is not that of its name. It is removed, the one before it is taken")
                path.unlink()
                continue
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            self._same(path, content["identity"])
            return content
        return None

    def _same(self, path: Path, found: Mapping[str, str]) -> None:
        wrong = [name for name in {**found, **self.identity} if found.get(name) != self.identity.get(name)]
        if wrong:
            told = "; ".join(
                f"{name} {found.get(name, 'unknown')}, expected {self.identity.get(name, 'nothing of that name')}"
                for name in wrong
            )
            raise Unusable(f"{path} is a checkpoint of another training: {told}. Remove {self.folder} to begin anew")


def described(path: Path | None) -> str:
    """For messages: which checkpoint, of which step."""
    match = None if path is None else _NAME.fullmatch(path.name)
    return "no checkpoint: none was written yet" if match is None else f"{path} (step {int(match[1])})"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
