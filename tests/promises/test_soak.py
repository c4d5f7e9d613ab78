"""A small soak test: hundreds of concurrent streams, with each fault and each way to leave a stream early."""

from __future__ import annotations

from tests.support.exhaustive import exhaustive
from tests.support.soak import FAULTS, Plan, run, scenarios


async def test_hundreds_of_streams_end_as_expected_and_leave_nothing() -> None:
    plan = Plan(streams=exhaustive(whole=300, part=150), at_once=100, seed=7)
    assert {scenario.fault for scenario in scenarios(plan)} == {None, *FAULTS}
    figures = await run(plan)
    assert figures.wrong == []
    assert {what: count for what, count in figures.left.items() if count} == {}
    assert figures.warned == figures.outcomes["dropped"] > 0
    assert figures.clean
    assert figures.outcomes.total() == plan.streams
    assert figures.outcomes["finished"] > plan.streams / 6
