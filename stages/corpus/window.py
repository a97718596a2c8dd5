"""A forward look on a stream of bytes that need not fit into memory.

In: an iterator of pieces. Out: a `Window`: peek, take and skip at a position, and search ahead at a cost in proportion to the
distance of what is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

FAR = 1 << 20


class Window:
    """Looks forward on a stream of bytes and moves along it.

    `open_at(position)` gives the bytes from there on. Where `size` is given the stream is a plain file: moving costs nothing, and
    `move_to` may go back. Otherwise it is decompressed on the way and goes forward only.
    """

    def __init__(self, open_at: Callable[[int], Iterator[bytes]], position: int = 0, size: int | None = None) -> None:
        self._open_at, self._size = open_at, size
        self._pieces = open_at(position)
        self._buffer, self._taken = b"", 0
        self.position = position

    @property
    def seekable(self) -> bool:
        return self._size is not None

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, fewer only at the end of the stream."""
        if len(self._buffer) - self._taken < count:
            parts, have = [self._buffer[self._taken :]], len(self._buffer) - self._taken
            while have < count and (piece := next(self._pieces, b"")):
                parts.append(piece)
                have += len(piece)
            self._buffer, self._taken = b"".join(parts), 0
        return self._buffer[self._taken : self._taken + count]

    def take(self, count: int) -> bytes:
        """The next `count` bytes, and move behind them."""
        found = self.peek(count)
        self.skip(len(found))
        return found

    def skip(self, count: int) -> int:
        """Move on by `count` bytes, fewer only at the end of the stream; how many they were."""
        start = self.position
        held = min(count, len(self._buffer) - self._taken)
        self._taken += held
        self.position += held
        if self._size is not None and self.position < start + count:
            self.move_to(min(start + count, self._size))
        while self.position < start + count and (piece := next(self._pieces, b"")):
            self._taken = min(len(piece), start + count - self.position)
            self._buffer = piece
            self.position += self._taken
        return self.position - start

    def move_to(self, position: int) -> None:
        """Jump within a plain file."""
        self._pieces = self._open_at(position)
        self._buffer, self._taken, self.position = b"", 0, position

    def find(self, pattern: re.Pattern[bytes], limit: int) -> int | None:
        """How far behind the position the first match ends, if it ends within `limit` bytes."""
        for view in self._views(limit):
            if found := pattern.search(view):
                return found.end()
        return None

    def seek(self, pattern: re.Pattern[bytes], limit: int, overlap: int = 64) -> bool:
        """Move to the end of the next match of a pattern shorter than `overlap`; False where none ends within `limit` bytes."""
        stop = self.position + limit
        while self.position < stop:
            for view in self._views(FAR):
                if found := pattern.search(view):
                    self.skip(found.end())
                    return True
            if len(view) < FAR:
                self.skip(len(view))
                return False
            self.skip(len(view) - overlap)
        return False

    def _views(self, limit: int) -> Iterator[bytes]:
        """Ever longer looks ahead: a near match costs little, a far one twice its distance."""
        count = min(1024, limit)
        while True:
            view = self.peek(count)
            yield view
            if len(view) < count or count >= limit:
                return
            count = min(4 * count, limit)
