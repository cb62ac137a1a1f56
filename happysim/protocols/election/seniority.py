"""The order of members: some strategies prefer the most senior one."""

from __future__ import annotations


def seniority(name: str) -> tuple[int, str]:
    """The more senior member has the larger key: by length of name, then by text.

    So n10 is senior to n9, as one would number them.
    """
    return len(name), name
