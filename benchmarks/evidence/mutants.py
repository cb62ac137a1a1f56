"""Mutants of a source file: the file with one operator, constant or statement changed.

What is changed (DeMillo, Lipton and Sayward 1978; the operators are those of most tools since):

- a comparison: `<` becomes `<=` and `>=`, and so on; `==` and `!=`, `is` and `is not`, `in` and
  `not in` become each other;
- `and` and `or`, `+` and `-` (not of texts and lists), `True` and `False` become each other;
- an integer becomes one more, and one less; a `not` is left out;
- the condition of an `if` (of a statement, an expression or a comprehension) becomes True, and
  False; that of a `while` becomes False;
- a `return` without a value, and a statement that is nothing but a call, are left out.

Nothing is changed in annotations, texts, `raise` and `assert`, and in functions that only validate
or describe (`__post_init__`, `__repr__`, `__str__`).
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_SUMS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
_TEXTS_AND_LISTS = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)
_VALIDATION = ("__post_init__", "__repr__", "__str__")
_NOT_BEHAVIOUR = (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Mutant:
    """One change: the bytes `start` to `end` of the source become `after`.

    `function` is where, by qualified name; at the level of a class or module it runs on import,
    and then `on_import` is True. `lines` are those of its statement up to the change.
    """

    function: str
    before: str
    after: str
    start: int
    end: int
    lines: range
    on_import: bool
    repeat: int = 1

    @property
    def line(self) -> int:
        """The line of the change, as people count."""
        return self.lines[-1]

    @property
    def is_of_constant(self) -> bool:
        """True where a constant is changed: its name tells little without the line."""
        body = ast.parse(self.before).body
        return isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)

    @property
    def name(self) -> str:
        """What is changed, in words that stay the same where other lines come and go."""
        again = f" (no. {self.repeat})" if self.repeat > 1 else ""
        after = "nothing" if self.after == "pass" else self.after
        return f"{self.function or 'module'}: {self.before} -> {after}{again}"

    def source(self, original: str) -> str:
        """The whole file, changed."""
        data = original.encode()
        after = self.after if _is_statement(self.after) else f"({self.after})"
        return (data[: self.start] + after.encode() + data[self.end :]).decode()


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a source text, in its order. Raises `SyntaxError` for what is no Python."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[tuple[int, int, str], Mutant] = {}
    repeats: Counter[str] = Counter()
    for scope, node, after in _changes(ast.parse(source), _Scope()):
        first, last = node.lineno, node.end_lineno or node.lineno
        start = starts[first - 1] + node.col_offset
        end = starts[last - 1] + (node.end_col_offset or 0)
        lines = range(min(scope.statement, first), first + 1)
        before = ast.unparse(node)
        made = Mutant(scope.function, before, after, start, end, lines, scope.on_import)
        if (start, end, after) not in found:
            repeats[made.name] += 1
            found[start, end, after] = replace(made, repeat=repeats[made.name])
    return sorted(found.values(), key=lambda each: (each.start, each.end, each.after))


def sample(found: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """At most `count` of them, chosen by a hash of seed and name, in the order of the source."""

    def draw(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant.name}".encode()).digest()

    chosen = sorted(found, key=draw)[:count]
    return [mutant for mutant in found if mutant in chosen]


# -- which changes there are -----------------------------------------------------------------------

_Node = ast.expr | ast.stmt


@dataclass(frozen=True)
class _Scope:
    function: str = ""
    on_import: bool = True
    statement: int = 0


def _changes(node: ast.AST, scope: _Scope) -> Iterator[tuple[_Scope, _Node, str]]:
    """Each change below a node: where it is, what is replaced, and by what."""
    if isinstance(node, _NOT_BEHAVIOUR) or _is_for_types(node):
        return
    if isinstance(node, ast.stmt):
        scope = replace(scope, statement=node.lineno)
    for changed, after in (*_own_changes(node), *_conditions(node)):
        yield scope, changed, after
    for name, child in _children(node):
        yield from _changes(child, _inner(node, name, scope))


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.FunctionDef) and node.name in _VALIDATION:
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield name, child


def _inner(node: ast.AST, field: str, scope: _Scope) -> _Scope:
    """The scope of a field of a node."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and field == "body":
        name = f"{scope.function}.{node.name}" if scope.function else node.name
        on_import = scope.on_import and isinstance(node, ast.ClassDef)
        return replace(scope, function=name, on_import=on_import)
    return scope


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _own_changes(node: ast.AST) -> Iterator[tuple[_Node, str]]:
    """The changes of a node itself."""
    match node:
        case ast.Compare():
            yield from ((node, after) for after in _compared_otherwise(node))
        case ast.BoolOp(op=operator, values=values):
            flipped = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield node, ast.unparse(ast.BoolOp(flipped, values))
        case ast.BinOp(op=ast.Add() | ast.Sub(), left=left, right=right):
            if not (_is_text_or_list(left) or _is_text_or_list(right)):
                yield node, ast.unparse(ast.BinOp(left, _SUMS[type(node.op)](), right))
        case ast.AugAssign(op=ast.Add() | ast.Sub(), target=to, value=value):
            if not _is_text_or_list(value):
                yield node, ast.unparse(ast.AugAssign(to, _SUMS[type(node.op)](), value))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, ast.unparse(operand)
        case ast.Constant(value=bool() as value):
            yield node, str(not value)
        case ast.Constant(value=int() as value):
            yield from ((node, str(value + more)) for more in (1, -1))
        case ast.Return(value=None) | ast.Expr(value=ast.Call()):
            yield node, "pass"


def _compared_otherwise(node: ast.Compare) -> Iterator[str]:
    for at, operator in enumerate(node.ops):
        for other in _COMPARISONS[type(operator)]:
            operators = [*node.ops[:at], other(), *node.ops[at + 1 :]]
            yield ast.unparse(ast.Compare(node.left, operators, node.comparators))


def _conditions(node: ast.AST) -> Iterator[tuple[_Node, str]]:
    match node:
        case ast.If(test=test) | ast.IfExp(test=test):
            tests = [test]
        case ast.comprehension(ifs=tests):
            pass
        case ast.While(test=test) if not isinstance(test, ast.Constant):
            yield test, "False"
            return
        case _:
            return
    for test in tests:
        yield test, "True"
        yield test, "False"


def _is_text_or_list(node: ast.expr) -> bool:
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return text or isinstance(node, _TEXTS_AND_LISTS)


def _is_statement(text: str) -> bool:
    return not isinstance(ast.parse(text).body[0], ast.Expr)
