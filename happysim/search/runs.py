"""Searches that follow single runs: at random, or one that is given."""

from __future__ import annotations

from happysim.kernel.contract import Exploration
from happysim.search.judge import Finding
from happysim.search.policy import Pct, Replay, Uniform
from happysim.search.schedule import first_world, follow
from happysim.search.search import STOPPED, Search
from happysim.search.walk import walk
from happysim.spec.property import Property, Sort
from happysim.spec.verdict import Unknown, Verdict


class AtRandom(Search):
    """Random runs, as a policy draws them."""

    def explored(self) -> tuple[Exploration, dict[Property, Verdict]]:
        policy = self.bounds.by
        assert isinstance(policy, (Uniform, Pct))
        exploration, schedules = walk(self.starts, self.judge, policy, self.bounds, self.progress)
        verdicts: dict[Property, Verdict] = {}
        for prop in self.properties:
            finding = self.judge.findings.get(prop)
            if finding is not None:
                start, schedule = schedules[prop]
                verdicts[prop] = self.verdict(prop, finding, schedule, start)
            else:
                runs = f"{exploration.waiting:,} random runs"
                said = "not reached" if prop.sort is Sort.REACHABLE else "no violation"
                stopped = STOPPED.get(exploration.stopped or "")
                why = f"; {stopped}" if stopped else ""
                verdicts[prop] = Unknown(prop, reason=f"{said} in {runs}{why}")
        return exploration, verdicts


class OneRun(Search):
    """The run of a schedule."""

    def explored(self) -> tuple[Exploration, dict[Property, Verdict]]:
        policy = self.bounds.by
        assert isinstance(policy, Replay)
        start = next(iter(self.starts)) if policy.start is None else policy.start
        world = first_world(self.scenario, start)
        verdicts: dict[Property, Verdict] = {}
        longest = 0
        for prop in self.properties:
            run = follow(world, policy.schedule, prop)
            longest = max(longest, len(run.worlds))
            if run.wrong is None:
                verdicts[prop] = Unknown(prop, reason="not broken on this schedule")
            else:
                finding = Finding(0, run.wrong)
                verdicts[prop] = self.verdict(prop, finding, run.schedule, start)
        exploration = Exploration(
            worlds=longest, steps=longest - 1, depth=longest, stopped="schedule"
        )
        return exploration, verdicts
