"""Every example in the README and under docs/ runs, and prints what the page says it prints.

A page runs in an empty folder of its own. Its ```python blocks run in order and share a namespace;
its ```console blocks do not run. A comment on the line before a block changes that:

- `<!-- no-run -->`: a python block is compiled only;
- `<!-- file: name.py -->`: a block, of any language, is written to that file instead;
- `<!-- run -->`: in a console block each line `$ happysim ...`, `$ pytest ...` or `$ python ...`
  runs, and must print what follows it, where `...` stands for any text.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

PROGRAMS = {
    "happysim": [sys.executable, "-m", "happysim.front.cli"],
    "pytest": [sys.executable, "-m", "pytest"],
    "python": [sys.executable],
}
COMMAND_SECONDS_MAX = 120


@dataclass(frozen=True)
class Block:
    """A fenced block: where its fence opens (from 1), its language, text, and the comment above."""

    page: Path
    line: int
    language: str
    text: str
    comment: str

    @property
    def place(self) -> str:
        page = self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page
        return f"{page.as_posix()}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a Markdown page, in order."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    comment, comment_end = "", -1
    for token in tokens:
        if token.map is None:
            continue
        start, end = token.map
        if token.type == "html_block":
            match = re.fullmatch(r"\s*<!--\s*(.*?)\s*-->\s*", token.content, re.DOTALL)
            comment, comment_end = (match[1] if match else ""), end
        elif token.type == "fence":
            language = (token.info.split() or [""])[0]
            above = comment if comment_end == start else ""
            yield Block(page, start + 1, language, token.content, above)


def run_page(page: Path, folder: Path, namespace: dict[str, object]) -> None:
    """Run the blocks of a page in `folder`, the current one; fail at the first that breaks."""
    for block in blocks_of(page):
        match block.language, block.comment.partition(":")[::2]:
            case _, ("file", name):
                write_file(block, folder, name.strip())
            case "python", ("", ""):
                run_python(block, namespace)
            case "python", ("no-run", ""):
                run_python(block, None)
            case "console", ("run", ""):
                run_console(block, folder)
            case "console", ("", ""):
                pass
            case (("python" | "console"), _):
                fail(
                    block,
                    f"does not know <!-- {block.comment} -->; write `no-run` or `file: name` above"
                    " a python block, `run` above a console block, or leave an empty line between",
                )


def write_file(block: Block, folder: Path, name: str) -> None:
    path = (folder / name).resolve()
    if path == folder.resolve() or not path.is_relative_to(folder.resolve()):
        fail(block, f"cannot write {name!r}; name a file inside the page's own folder")
    if block.language == "python":
        run_python(block, None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def run_python(block: Block, namespace: dict[str, object] | None) -> None:
    """Compile the block, and run it where there is a namespace for it."""
    # The empty lines make the traceback count lines of the page.
    source = "\n" * block.line + block.text
    try:
        code = compile(source, str(block.page), "exec", dont_inherit=True)
        if namespace is not None:
            exec(code, namespace)
        return
    except Exception as error:
        # The first frame is the call of `exec` above.
        below = error.__traceback__.tb_next if error.__traceback__ else None
        lines = traceback.format_exception(error.with_traceback(below))
    fail(block, "failed\n" + "".join(lines))


def run_console(block: Block, folder: Path) -> None:
    head, *parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    if head.strip() or not parts:
        fail(block, "has nothing to run; a console block begins with a line `$ happysim ...`")
    for command, wanted in zip(parts[::2], parts[1::2], strict=True):
        program, *arguments = shlex.split(command)
        if program not in PROGRAMS:
            fail(block, f"cannot run {program!r}; only {', '.join(PROGRAMS)} may be run")
        done = subprocess.run(
            [*PROGRAMS[program], *arguments],
            cwd=folder,
            env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        want, got = plain(wanted), plain(done.stdout)
        checker = doctest.OutputChecker()
        if not checker.check_output(want, got, doctest.ELLIPSIS):
            example = doctest.Example(command, want)
            difference = checker.output_difference(example, got, doctest.ELLIPSIS)
            fail(block, f"`$ {command}` (exit status {done.returncode}) differs\n{difference}")


def plain(output: str) -> str:
    """The output without what nobody sees: spaces at the end of a line, empty lines at the end."""
    text = "\n".join(line.rstrip() for line in output.splitlines()).rstrip("\n")
    return text + "\n" if text else ""


def fail(block: Block, message: str) -> None:
    pytest.fail(f"{block.place}: this {block.language} block {message}", pytrace=False)


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """The namespace of a module that stands in `tmp_path`, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # A page may write one file twice within a second, which a cached compilation would hide.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # Type hints are looked up in the module that `__module__` names, so it has to exist.
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    before = set(sys.modules)
    yield vars(module)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_examples_of_a_page_run(
    page: Path, tmp_path: Path, namespace: dict[str, object]
) -> None:
    run_page(page, tmp_path, namespace)


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages") / "page.md"


SOUND = """
```python
from __future__ import annotations
from dataclasses import dataclass
@dataclass
class Vote:
    term: int
```
<!-- no-run -->
```python
raise SystemExit
```
1. In a list:
   <!-- file: sub/lock.py -->
   ```python
   TERM = 7
   ```
   ```python
   from sub.lock import TERM
   assert Vote(TERM) == Vote(7)
   ```
<!-- run -->
```console
$ python -c "import sub.lock; print('took 3.1 s  '); print(sub.lock.TERM)"
took ... s
7
$ python -c ""
$ python -c "print(1)"
1
```
```console
$ happysim unheard-of
```
"""


def test_sound_examples_pass(page: Path, tmp_path: Path, namespace: dict[str, object]) -> None:
    page.write_text(SOUND, encoding="utf-8")
    run_page(page, tmp_path, namespace)
    assert (tmp_path / "sub" / "lock.py").read_text() == "TERM = 7\n"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        pytest.param(
            "Text\n\n```python\nx = 1\nassert x == 2\n```",
            ["page.md:3: this python block failed", 'page.md", line 5', "AssertionError"],
            id="raises",
        ),
        pytest.param(
            "```python\nx = \n```", ["page.md:1: ", 'page.md", line 2', "SyntaxError"], id="syntax"
        ),
        pytest.param(
            "<!-- no-run -->\n```python\nx = \n```", ["page.md:2: ", "SyntaxError"], id="no-run"
        ),
        pytest.param(
            "<!-- run -->\n```console\n$ python -c 'print(1)'\n2\n```",
            ["page.md:2: ", "'print(1)'` (exit status 0)", "Expected:\n    2\nGot:\n    1"],
            id="prints something else",
        ),
        pytest.param(
            "<!-- run -->\n```console\n$ python -c 'print(1)'\n```",
            ["page.md:2: ", "Expected nothing\nGot:\n    1"],
            id="prints what the page leaves out",
        ),
        pytest.param("<!-- run -->\n```console\n$ rm x\n```", ["cannot run 'rm'"], id="program"),
        pytest.param("<!-- run -->\n```console\nhappysim\n```", ["has nothing to run"], id="no $"),
        pytest.param("<!-- rnu -->\n```console\n$ rm x\n```", ["<!-- rnu -->"], id="comment"),
        pytest.param("<!-- file: ../x -->\n```text\n```", ["cannot write '../x'"], id="outside"),
    ],
)
def test_a_wrong_example_fails_and_says_where(
    text: str, messages: list[str], page: Path, tmp_path: Path, namespace: dict[str, object]
) -> None:
    page.write_text(text, encoding="utf-8")
    with pytest.raises(pytest.fail.Exception) as failure:
        run_page(page, tmp_path, namespace)
    for message in messages:
        assert message in str(failure.value)
