"""A hash tree over keys: two that differ find where by comparing few digests.

**Source**: Merkle, *A digital signature based on a conventional encryption function*, CRYPTO 1987;
DeCandia et al., *Dynamo*, SOSP 2007, section 4.7 (anti-entropy by hash trees).

Keys are spread over 2 ** depth leaves by their own digest. A node of the tree is named by its path,
a text of 0 and 1; the root is the empty one. The digest of a leaf is that of all that is in it, the
digest of another node that of its children's.
"""

from __future__ import annotations

from collections.abc import Mapping

from happysim.core.describe import digest

ROOT = ""
_DIGITS = 16


def leaf_of(key: str, depth: int) -> str:
    """The path of the leaf that a key belongs to."""
    number = int(digest(key)[:8], 16)
    return format(number, "032b")[:depth]


def tree_of(contents: Mapping[str, str], depth: int) -> dict[str, str]:
    """The digest at each path. `contents` is what is kept of each key, as text."""
    leaves: dict[str, list[tuple[str, str]]] = {}
    for key in sorted(contents):
        leaves.setdefault(leaf_of(key, depth), []).append((key, contents[key]))
    return _digests(ROOT, depth, leaves)


def _digests(path: str, depth: int, leaves: Mapping[str, list[tuple[str, str]]]) -> dict[str, str]:
    if len(path) == depth:
        return {path: digest(repr(leaves.get(path, [])))[:_DIGITS]}
    below = _digests(path + "0", depth, leaves) | _digests(path + "1", depth, leaves)
    own = digest(below[path + "0"] + below[path + "1"])[:_DIGITS]
    return {path: own, **below}
