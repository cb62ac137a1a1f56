"""The log of a server, as a value: entries at indices that count from 1, behind a snapshot.

What lives here: where an entry is, and which term it has. What this file does not know: servers,
messages, and which entries are committed. No operation takes time in proportion to the log, but
for those that remove a part of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from happysim.protocols.raft.messages import Entry


def _term(entry: Entry) -> int:
    return entry.term


@dataclass
class Log:
    """The entries at offset + 1, offset + 2, ...; those up to `offset` have been discarded.

    Terms never decrease from one entry to the next. `offset_term` is the term of the last entry
    that was discarded (dissertation, section 5.1); both are 0 where none was.
    """

    entries: list[Entry] = field(default_factory=list)
    offset: int = 0
    offset_term: int = 0

    @property
    def last_index(self) -> int:
        """The index of the last entry; 0 where there never was one."""
        return self.offset + len(self.entries)

    @property
    def last_term(self) -> int:
        """The term of the last entry; 0 where there never was one."""
        return self.entries[-1].term if self.entries else self.offset_term

    def entry(self, index: int) -> Entry:
        """The entry at `index`. Raises `IndexError` where it is not kept."""
        if not self.offset < index <= self.last_index:
            raise IndexError(f"no entry at {index}; the log has {self.offset + 1} and on")
        return self.entries[index - self.offset - 1]

    def term_at(self, index: int) -> int:
        """The term of the entry at `index`. Raises `IndexError` before the offset."""
        return self.offset_term if index == self.offset else self.entry(index).term

    def agrees(self, index: int, term: int) -> bool:
        """True where the entry at `index` has that term, or has been discarded.

        Only what is committed is discarded, and that is the same in all logs.
        """
        if index < self.offset:
            return True
        return index <= self.last_index and self.term_at(index) == term

    def behind(self, index: int, limit: int | None = None) -> tuple[Entry, ...]:
        """The entries from index + 1 on: all of them, or the first `limit`."""
        start = index - self.offset
        return tuple(self.entries[start : None if limit is None else start + limit])

    def first_of_same_term(self, index: int) -> int:
        """The first index that is kept whose entry has the term of the one at `index`."""
        return self.offset + 1 + bisect_left(self.entries, self.term_at(index), key=_term)

    def last_of_term(self, term: int) -> int:
        """The index of the last entry with that term; 0 where none has it."""
        count = bisect_right(self.entries, term, key=_term)
        index = self.offset + count
        return index if index and self.term_at(index) == term else 0

    def append(self, entry: Entry) -> None:
        """Put an entry behind the last."""
        self.entries.append(entry)

    def truncate(self, index: int) -> list[Entry]:
        """Remove the entry at `index` and all that follow; returns them."""
        at = index - self.offset - 1
        removed = self.entries[at:]
        del self.entries[at:]
        return removed

    def discard(self, index: int) -> None:
        """Forget the entries up to `index`, where they are still kept."""
        if index <= self.offset:
            return
        self.offset_term = self.term_at(index)
        del self.entries[: index - self.offset]
        self.offset = index
