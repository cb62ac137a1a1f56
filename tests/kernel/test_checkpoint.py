"""A search that was interrupted, anywhere, goes on to what it would have found; or says why not."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from happysim import Broken, Host, Node, Report, World, action, always, bfs, explore, quiescent
from happysim.core.errors import CheckpointError, HappysimError
from happysim.core.prng import Random
from happysim.core.tables import Tables
from happysim.front.cli import main
from happysim.kernel.contract import Plan
from happysim.kernel.switch import VARIABLE, kernel
from happysim.search.judge import PropertyJudge
from happysim.search.policy import Bfs
from tests.kernel.test_kernels_agree import (
    BOUNDS,
    Options,
    drawn,
    kernel_named,
    some_options,
    starts_of,
)
from tests.oracles.models import two_phase
from tests.oracles.test_naive_agrees import Case, cases
from tests.support.kernels import needs_native

pytestmark = needs_native


@pytest.fixture(name="kernel", scope="module", autouse=True)
def native_kernel() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "native")
        yield


class Fuse:
    """Interrupts whoever burns it for the last time."""

    left = -1

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


FUSE = Fuse()


def outcome(case: Case, options: Options, by: Bfs) -> Any:
    """What a user is told of a search, but for the effort; or None where it was interrupted."""

    def scenario() -> dict[str, World]:
        return starts_of(case, options.starts)

    @always(scenario)
    def fused(world: World) -> bool:
        FUSE.burn()
        return len(world["n1"].timers) < 9 and world["n2"].state < 9

    judged = [each.over(scenario) for each in options.properties(case)]
    try:
        report = explore(
            scenario,
            fused,
            *judged,
            by=by,
            max_depth=options.max_depth,
            history=options.history,
            within=BOUNDS[options.within],
            max_worlds=options.max_worlds,
        )
    except KeyboardInterrupt:
        return None
    except CheckpointError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if report.stopped == "interrupt":
        return None
    verdicts = [
        (prop.name, str(each), getattr(each, "schedule", None), getattr(each, "start", None))
        for prop, each in report.verdicts.items()
    ]
    counts = report.worlds, report.steps, report.depth, report.complete, report.stopped
    return verdicts, counts, report.warnings


@pytest.mark.parametrize("examples", [25, pytest.param(2000, marks=pytest.mark.slow)])
def test_interrupts_anywhere_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: int
) -> None:
    file = tmp_path / "search.checkpoint"
    run = Tables.effects_of

    def burning(self: Tables, *of: Any) -> Any:
        FUSE.burn()
        return run(self, *of)

    monkeypatch.setattr(Tables, "effects_of", burning)
    ways = st.sampled_from([{}, {"memory": "fingerprint"}, {"disk": tmp_path, "spill_mib": 1e-3}])

    @drawn(examples)
    @given(cases(), some_options(), ways, st.lists(st.integers(1, 40), min_size=1, max_size=3))
    def resumed(case: Case, options: Options, how: Any, interrupts: list[int]) -> None:
        file.unlink(missing_ok=True)
        options = replace(options, depth_first=False)
        FUSE.left = -1
        wanted = outcome(case, options, bfs(how.get("memory", "exact")))
        found = None
        for left in [*interrupts, -1]:
            FUSE.left = left
            since = {"resume" if file.exists() else "checkpoint": file}
            found = outcome(case, options, bfs(**how, **since))
            if found is not None:
                break
        assert found == wanted

    resumed()


@pytest.mark.parametrize("fingerprints", [False, True])
def test_an_interrupt_ends_a_search_on_several_threads_where_it_ends_one(
    monkeypatch: pytest.MonkeyPatch, fingerprints: bool
) -> None:
    run = Tables.effects_of

    def burning(self: Tables, *of: Any) -> Any:
        FUSE.burn()
        return run(self, *of)

    monkeypatch.setattr(Tables, "effects_of", burning)

    def found(threads: int, left: int) -> Any:
        world = two_phase.messages(5)
        judge = PropertyJudge(world.tables, [], None, False)
        plan = Plan(fingerprints=fingerprints, threads=threads)
        FUSE.left = left
        made = kernel().explore(world.tables, [world.numbers], judge, plan)
        ways = [made.path(at) for at in range(0, made.worlds, 7)]
        return made.stopped, made.worlds, made.steps, made.waiting, ways

    for left in range(1, 390, 13):
        wanted = found(1, left)
        assert wanted[0] == "interrupt"
        assert found(3, left) == wanted


class Once(Node):
    """Goes one way or another, once; one of the ways leads outside the bound below."""

    went: int = 0

    @action(when=lambda self: self.went == 0)
    def go(self, host: Host) -> None:
        self.went = host.choose([1, 2, 9])


def inside(world: World) -> bool:
    FUSE.burn()
    return bool(world["a"].went < 9)


@pytest.mark.parametrize("within", [inside, None], ids=["bounded", "not bounded"])
def test_an_interrupt_within_a_world_counts_no_step_twice(
    tmp_path: Path, within: Callable[[World], bool] | None
) -> None:
    def counts(by: Bfs) -> Any:
        world = World.of(*(Once(name) for name in "abc"))

        @always(world)
        def judged(world: World) -> bool:
            FUSE.burn()
            return [world[name].went for name in "abc"] != [2, 2, 2]

        try:
            report = explore(world, judged, by=by, within=within)
        except KeyboardInterrupt:
            return None
        found = str(report[judged]), report[judged].schedule if report[judged].broken else ()
        return report.worlds, report.steps, report.depth, found, report.stopped

    FUSE.left = -1
    wanted = counts(bfs())
    for left in range(1, 40):
        file = tmp_path / f"{left}"
        FUSE.left = left
        counts(bfs(checkpoint=file))
        FUSE.left = -1
        if file.exists():
            assert counts(bfs(resume=file)) == wanted


class Fork(Node):
    """Goes one of three ways; the first of them leads on."""

    went: int = 0

    @action(when=lambda self: self.went == 0)
    def go(self, host: Host) -> None:
        self.went = host.choose([1, 2, 3])

    @action(when=lambda self: self.went == 1)
    def go_on(self, host: Host) -> None:
        self.went = 4


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"max_depth": 2}, "depth 2"),
        ({"within": lambda world: world["a"].went != 1}, "the bound `within`"),
    ],
    ids=["depth", "within"],
)
def test_that_bounds_left_worlds_out_before_is_told_after(
    tmp_path: Path, bounds: dict[str, Any], said: str
) -> None:
    def judged(by: Bfs) -> tuple[str | None, str, int]:
        @quiescent(World.of(Fork("a")))
        def ends(world: World) -> bool:
            FUSE.burn()
            return bool(world["a"].went < 9)

        report = explore(ends.scenario, ends, by=by, **bounds)
        return report.stopped, str(report[ends]), report.quiescent_worlds

    FUSE.left = -1
    wanted = judged(bfs())
    assert said in wanted[1]
    # The last end is judged when nothing is left to be seen of what lies outside.
    FUSE.left = 2
    file = tmp_path / "search.checkpoint"
    assert judged(bfs(checkpoint=file))[0] == "interrupt"
    assert judged(bfs(resume=file)) == wanted


def first_worlds(file: Path, **bounds: Any) -> Report:
    """A search that an interrupt ends after some hundred worlds."""

    def stop(found: Any) -> None:
        if found.worlds > 3000:
            raise KeyboardInterrupt

    scenario = two_phase.managers_agree.over(two_phase.messages, managers=5)
    by = bfs(checkpoint=file)
    return explore(scenario.scenario, scenario, by=by, progress=stop, **bounds)


def test_a_resumed_search_counts_as_one_that_was_not_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "search.checkpoint"
    part = first_worlds(file)
    assert part.stopped == "interrupt"
    assert part.worlds < 8832
    prop = two_phase.managers_agree.over(two_phase.messages, managers=5)
    report = explore(prop.scenario, prop, by=bfs(resume=file))
    # Published: 8,832 states, depth 17; see tests/oracles/test_published_counts.py.
    assert (report.worlds, report.depth, report[prop].holds) == (8832, 17, True)
    assert sorted(tmp_path.iterdir()) == [file]


def cut(data: bytes) -> bytes:
    return data[:-100]


def flipped(data: bytes) -> bytes:
    return data[:-50] + bytes([data[-50] ^ 1]) + data[-49:]


def later_version(data: bytes) -> bytes:
    return data.replace(b"happysim checkpoint 1", b"happysim checkpoint 2", 1)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "damaged, or the end of it is missing"),
        (flipped, "damaged, or the end of it is missing"),
        (later_version, "version 2; this happysim reads version 1"),
        (lambda data: b"", "damaged"),
        (lambda data: b"a text\n" * 9, "no checkpoint of happysim"),
    ],
)
def test_a_damaged_file_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes], said: str
) -> None:
    file = tmp_path / "search.checkpoint"
    first_worlds(file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CheckpointError, match=said):
        explore(two_phase.messages, by=bfs(resume=file))


def with_checksum(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


@pytest.mark.parametrize("flips", [20, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_made_up_file_does_no_harm(tmp_path: Path, flips: int) -> None:
    file, damaged = tmp_path / "search.checkpoint", tmp_path / "damaged"
    first_worlds(file)
    whole = file.read_bytes()[:-4]
    start = 30 + int.from_bytes(whole[22:30], "little")
    draw, refused = Random(1, "damage"), 0
    for _ in range(flips):
        data = bytearray(whole)
        # Of the kernel's part, mostly what comes first: the layout, the cells, the counts.
        span = len(data) - start if draw.below(4) == 0 else 2000
        data[start + draw.below(span)] ^= 1 << draw.below(8)
        damaged.write_bytes(with_checksum(bytes(data)))
        prop = two_phase.managers_agree.over(two_phase.messages, managers=5)
        try:
            explore(prop.scenario, prop, by=bfs(resume=damaged), max_worlds=20_000)
        except (HappysimError, IndexError, OverflowError):
            refused += 1
    assert refused > flips / 3


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "search.checkpoint"
    first_worlds(file)
    file.write_bytes(with_checksum(file.read_bytes()[:-12]))
    prop = two_phase.managers_agree.over(two_phase.messages, managers=5)
    with pytest.raises(CheckpointError, match="its parts do not fit together"):
        explore(prop.scenario, prop, by=bfs(resume=file))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        explore(two_phase.messages, by=bfs(resume=tmp_path / "none"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"managers": 4}, "another search; scenario"),
        ({"max_depth": 9}, "another search; max_depth: None, and here 9"),
        ({"memory": "fingerprint"}, "another search; memory"),
        ({"within": lambda world: True}, "another search; within"),
    ],
)
def test_a_checkpoint_of_another_search_is_refused(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    file = tmp_path / "search.checkpoint"
    first_worlds(file)
    managers, memory = options.pop("managers", 5), options.pop("memory", "exact")
    prop = two_phase.managers_agree.over(two_phase.messages, managers=managers)
    with pytest.raises(CheckpointError, match=said):
        explore(prop.scenario, prop, by=bfs(memory, resume=file), **options)


PROTOCOL = """
from happysim import Host, Node, World, action, always

class Counter(Node):
    at: int = 0

    @action(when=lambda self: self.at < 40)
    def count(self, host: Host) -> None:
        self.at += {by}

def counters() -> World:
    return World.of(Counter("a"), Counter("b"), Counter("c"))

@always(counters)
def small(world: World) -> bool:
    return world["a"].at < 90
"""


@pytest.fixture
def protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Writes a protocol file, and imports it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def made(by: str) -> Path:
        sys.modules.pop("counting_up", None)
        path = tmp_path / "counting_up.py"
        path.write_text(PROTOCOL.format(by=by))
        return path

    yield made
    sys.modules.pop("counting_up", None)


def test_changed_code_is_refused_by_its_file(
    protocol: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = protocol("1")
    limits = ["--checkpoint", "c", "--seconds", "0.0001"]
    assert main(["check", str(path), *limits]) == 3
    protocol("2")
    assert main(["check", str(path), "--resume", "c"]) == 2
    assert "counting_up has changed since the checkpoint was written" in capsys.readouterr().err


def test_handlers_that_do_something_else_are_refused_by_name(
    protocol: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The file is the same; what it reads from outside is not.
    source = "int(__import__('os').environ['STEP'])"
    path = protocol(source)
    monkeypatch.setenv("STEP", "1")
    assert main(["check", str(path), "--checkpoint", "c", "--seconds", "0.0001"]) == 3
    protocol(source)
    monkeypatch.setenv("STEP", "2")
    assert main(["check", str(path), "--resume", "c"]) == 2
    assert "a does something else than it did" in capsys.readouterr().err


def test_the_command_line_goes_on_from_a_checkpoint(
    protocol: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = protocol("1")
    assert main(["check", str(path), "--checkpoint", "c", "--seconds", "0.0001"]) == 3
    assert main(["check", str(path), "--resume", "c"]) == 0
    assert f"{41**3:,}" in capsys.readouterr().out


def test_a_checkpoint_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    file = tmp_path / "search.checkpoint"
    first_worlds(file)
    before = file.read_bytes()
    (tmp_path / "search.checkpoint.part").mkdir()
    report = first_worlds(file)
    assert any("no checkpoint could be written: " in each for each in report.warnings)
    assert file.read_bytes() == before


def test_what_was_found_before_is_told_after(tmp_path: Path) -> None:
    file = tmp_path / "search.checkpoint"
    world = two_phase.messages(5)

    @always(world)
    def nobody_prepares(world: Any) -> bool:
        return bool(world["rm2"].state != "prepared")

    def stop(found: Any) -> None:
        raise KeyboardInterrupt

    agree = two_phase.managers_agree.over(nobody_prepares.scenario)
    wanted = explore(agree.scenario, agree, nobody_prepares)
    by = bfs(checkpoint=file)
    part = explore(agree.scenario, agree, nobody_prepares, by=by, progress=stop)
    assert part[nobody_prepares].broken
    report = explore(agree.scenario, agree, nobody_prepares, by=bfs(resume=file))
    found, expected = report[nobody_prepares], wanted[nobody_prepares]
    assert isinstance(found, Broken)
    assert isinstance(expected, Broken)
    assert found.schedule == expected.schedule
    assert (report.worlds, report.steps) == (wanted.worlds, wanted.steps)


def test_the_reference_kernel_says_that_it_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "reference")
    with pytest.raises(Exception, match="only the native kernel writes and reads checkpoints"):
        explore(two_phase.messages, by=bfs(checkpoint=tmp_path / "c"))
    assert kernel_named("native")
