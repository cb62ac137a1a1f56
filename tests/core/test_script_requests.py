"""A client script may give up on a call, sleep, post, and use what it was granted."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from happysim import (
    HandlerRaised,
    Host,
    Node,
    ProtocolError,
    Register,
    Script,
    TimedOut,
    World,
    call,
    explore,
    linearize,
    on,
    ordered,
    post,
    sleep,
)
from happysim.core.freeze import freeze
from happysim.core.script import LiveScript, Post, Request, Sleep
from happysim.spec.linearizability import Outcome
from happysim.spec.objects import Read, Write
from tests.support.grants import Grant, Release, Server
from tests.support.nodes import Ping


def world_of(function: Callable[..., Any], **options: Any) -> World:
    return World.of(Server("s"), Script("c", function), **options)


def texts(world: World) -> list[str]:
    return [str(choice) for choice in world.choices()]


ASKED = ("invoke c -> s Ping(value=0) as call 1", "deliver c -> s Ping(value=0) as call 1")


# -- timeouts --------------------------------------------------------------------------------------


def twice() -> Any:
    for _ in range(2):
        if (yield call("s", Ping(), timeout=1)):
            return


def test_a_timeout_may_fire_at_any_moment_while_its_call_is_open_and_only_then() -> None:
    world = world_of(twice)
    assert texts(world) == [ASKED[0]]
    world = world.step(ASKED[0])
    assert texts(world) == ["deliver c -> s Ping(value=0) as call 1", "fire c timeout"]
    world = world.step(ASKED[1])
    assert texts(world) == ["deliver s -> c answer Grant(token=1) to call 1", "fire c timeout"]
    answered = world.step("deliver s -> c answer Grant(token=1) to call 1")
    assert (texts(answered), answered.is_quiescent) == ([], True)


def test_a_call_without_a_timeout_waits_for_ever() -> None:
    def patient() -> Any:
        yield call("s", Ping())

    assert texts(world_of(patient).step(ASKED[0])) == ["deliver c -> s Ping(value=0) as call 1"]


def test_a_call_that_timed_out_stays_open_in_a_lane_of_its_own_and_its_answer_is_ignored() -> None:
    world = world_of(twice).after(*ASKED, "fire c timeout")
    assert [(each.client, each.done) for each in world.history.calls] == [("c~1", False)]
    # The answer to call 1 is in flight, and changes nothing: not now, and not while 2 is open.
    assert texts(world) == ["invoke c -> s Ping(value=0) as call 2"]
    world = world.step("invoke c -> s Ping(value=0) as call 2")
    assert texts(world) == ["deliver c -> s Ping(value=0) as call 2", "fire c timeout"]
    world = world.after(
        "deliver c -> s Ping(value=0) as call 2", "deliver s -> c answer Grant(token=2) to call 2"
    )
    assert [each.client for each in world.history.completed] == ["c"]


def test_on_an_ordered_network_a_late_answer_makes_way() -> None:
    world = world_of(twice, network=ordered()).after(*ASKED, "fire c timeout")
    assert "deliver s -> c answer Grant(token=1) to call 1" in texts(world)
    assert world.step("deliver s -> c answer Grant(token=1) to call 1").in_flight == ()


def test_what_timed_out_may_have_taken_effect_or_not() -> None:
    class Store(Node):
        value: int | None = None

        @on(Write)
        def write(self, host: Host, sender: str, request: Write) -> None:
            self.value = request.value
            host.respond(None)

        @on(Read)
        def read(self, host: Host, sender: str, request: Read) -> None:
            host.respond(self.value)

    def client() -> Any:
        yield call("s", Write(1), timeout=1)
        yield call("s", Read(), timeout=1)
        yield call("s", Read())

    world = World.of(Store("s"), Script("c", client)).after(
        "invoke c -> s Write(value=1) as call 1",
        "fire c timeout",
        "invoke c -> s Read() as call 2",
        "deliver c -> s Read() as call 2",
        "deliver s -> c answer None to call 2",
        "deliver c -> s Write(value=1) as call 1",
        "invoke c -> s Read() as call 3",
        "deliver c -> s Read() as call 3",
        "deliver s -> c answer 1 to call 3",
    )
    assert [each.result for each in world.history.completed] == [None, 1]
    assert linearize(world.history, Register()).outcome is Outcome.LINEARIZABLE


def test_timed_out_is_false_and_a_value() -> None:
    assert not TimedOut()
    assert TimedOut() == TimedOut()
    assert freeze(TimedOut()) == freeze(TimedOut())


# -- sleeping and posting --------------------------------------------------------------------------


def test_a_script_that_sleeps_may_wake_at_any_moment_and_leaves_no_history() -> None:
    def dozing() -> Any:
        woken = yield sleep(1)
        yield call("s", Ping(woken))

    world = world_of(dozing)
    assert texts(world) == ["fire c sleep"]
    assert not world.is_quiescent
    world = world.step("fire c sleep")
    assert texts(world) == ["invoke c -> s Ping(value=None) as call 1"]
    assert world.history.calls == ()


def test_a_post_is_sent_and_the_script_goes_on_at_once() -> None:
    def posting() -> Any:
        got = yield post("s", Release(1))
        yield call("s", Ping(got))

    world = world_of(posting)
    assert texts(world) == ["invoke c -> s Release(token=1)"]
    world = world.step("invoke c -> s Release(token=1)")
    assert texts(world) == [
        "deliver c -> s Release(token=1)",
        "invoke c -> s Ping(value=None) as call 1",
    ]
    assert world.history.calls == ()
    # Its receiver replies all the same: nobody awaits that, and nothing is sent.
    world = world.step("deliver c -> s Release(token=1)")
    assert (world["s"].released, world.in_flight) == ([1], ())


def test_a_script_that_raises_after_a_post_is_a_violation_with_the_choice_that_did_it() -> None:
    def failing() -> Any:
        yield post("s", Release(1))
        raise ValueError("no more")

    with pytest.raises(HandlerRaised, match=r"invoke c -> s Release\(token=1\).*no more"):
        world_of(failing).step("invoke c -> s Release(token=1)")


# -- what an answer can do -------------------------------------------------------------------------


def test_what_the_code_puts_into_the_outbox_is_sent_in_the_step_that_runs_it() -> None:
    def holding() -> Any:
        first = yield call("s", Ping())
        yield sleep(1)
        second = yield call("s", Ping(1))
        second.release()
        first.release()

    world = world_of(holding).after(*ASKED, "deliver s -> c answer Grant(token=1) to call 1")
    assert world.in_flight == ()
    world = world.after(
        "fire c sleep",
        "invoke c -> s Ping(value=1) as call 2",
        "deliver c -> s Ping(value=1) as call 2",
        "deliver s -> c answer Grant(token=2) to call 2",
    )
    assert texts(world) == ["deliver c -> s Release(token=1)", "deliver c -> s Release(token=2)"]
    # Neither is an operation of the history; the answers are.
    assert [each.result for each in world.history.calls] == [Grant(1), Grant(2)]


def test_what_is_yielded_as_well_is_an_ordinary_call() -> None:
    def holding() -> Any:
        grant = yield call("s", Ping())
        answer = yield grant.release()
        yield call("s", Ping(answer))

    world = world_of(holding).after(*ASKED, "deliver s -> c answer Grant(token=1) to call 1")
    assert texts(world) == ["invoke c -> s Release(token=1) as call 2"]
    world = world.after(
        "invoke c -> s Release(token=1) as call 2",
        "deliver c -> s Release(token=1) as call 2",
        "deliver s -> c answer 'released' to call 2",
    )
    assert texts(world) == ["invoke c -> s Ping(value='released') as call 3"]


def test_a_release_in_a_finally_block_is_part_of_the_run_only_where_the_run_gets_there() -> None:
    def holding() -> Any:
        grant = yield call("s", Ping())
        try:
            yield sleep(1)
        finally:
            yield grant.release()
            yield grant.release()

    world = world_of(holding).after(*ASKED, "deliver s -> c answer Grant(token=1) to call 1")
    assert texts(world) == ["fire c sleep"]
    assert explore(world).complete
    gc.collect()  # A generator that was left in the middle would complain here.


# -- mistakes --------------------------------------------------------------------------------------


class Junk:
    def __bind__(self, outbox: list[Any]) -> None:
        outbox.append(3)


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: call("s", Ping(), timeout=-1), ["timeout=-1", "write timeout=2.0"]),
        (lambda: call("s", Ping(), timeout=True), ["timeout=True"]),
        (lambda: sleep(float("nan")), ["sleep(nan)", "write sleep(0.5)"]),
        (lambda: sleep((2, 1)), ["sleep((2, 1))", "no range", "sleep((0.1, 0.5))"]),
        (lambda: sleep((1, 2, 3)), ["no range"]),
    ],
)
def test_what_is_no_time_is_refused_with_the_remedy(make: Any, parts: list[str]) -> None:
    with pytest.raises(ProtocolError) as refused:
        make()
    assert [part for part in parts if part not in str(refused.value)] == []


@pytest.mark.parametrize("request_", [post("z", Ping()), call("z", Ping())], ids=["post", "call"])
def test_a_request_to_nobody_is_refused_wherever_it_is_made(request_: Post | Request) -> None:
    def yields_it() -> Any:
        yield request_

    with pytest.raises(ProtocolError, match=r"script c, .*there is no node 'z'"):
        world_of(yields_it).choices()


def test_what_is_no_request_does_not_go_into_the_outbox() -> None:
    def waits() -> Any:
        yield sleep(1)
        yield sleep(1)

    live = LiveScript(Script("c", waits))
    live.start()
    with pytest.raises(ProtocolError, match="script c put into the outbox a int"):
        live.answer(Junk())


# -- the live form ---------------------------------------------------------------------------------


def test_a_live_script_asks_what_the_search_asks() -> None:
    def client() -> Any:
        grant = yield call("s", Ping(), timeout=2)
        yield sleep((0.1, 0.5))
        grant.release()
        yield post("s", Release(9))
        grant.release()

    live = LiveScript(Script("c", client))
    assert (live.start(), live.number) == (Request("s", Ping(), 2_000_000_000), 1)
    assert live.answer(Grant(1)) == live.request == Sleep(100_000_000, 500_000_000)
    assert (live.posted, live.number) == ((), 1)
    assert live.answer(None) == Post("s", Release(9))
    assert live.posted == (call("s", Release(1)),)
    assert live.answer(None) is live.request is None
    assert (live.posted, live.number) == ((call("s", Release(1)),), 1)
