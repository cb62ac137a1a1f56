"""Parts of a page that a command writes: `<!-- begin NAME -->` to `<!-- end NAME -->`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def put(page: Path, name: str, text: str) -> None:
    """Replace the part of a page that has this name. Raises `ValueError` where there is none."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no part {name!r}; write `{begin}` and `{end}` where it goes")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int]) -> str:
    """A Markdown table; the columns at `numbers` are aligned to the right."""
    rule = ["---:" if at in numbers else "---" for at in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines)


def code(text: str) -> str:
    """Text as code, or nothing for nothing."""
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
