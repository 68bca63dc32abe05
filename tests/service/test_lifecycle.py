from __future__ import annotations

import asyncio

import pytest

from llmproxyd.errors import Draining
from llmproxyd.service.lifecycle import InFlight, Lifecycle, Phase


class Clock:
    """Monotonic seconds that pass when told to."""

    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lifecycle(clock):
    return Lifecycle(clock)


def test_a_life_goes_from_starting_to_stopped(lifecycle):
    phases = [lifecycle.phase]
    for step in (lifecycle.set_ready, lambda: lifecycle.request_stop(1), lifecycle.set_stopped):
        step()
        phases.append(lifecycle.phase)
    assert [Phase.STARTING, Phase.READY, Phase.DRAINING, Phase.STOPPED] == phases


def test_a_stop_during_the_start_is_not_forgotten(lifecycle):
    lifecycle.request_stop(1)
    lifecycle.set_ready()
    assert Phase.DRAINING == lifecycle.phase


def test_a_stopped_daemon_stays_stopped(lifecycle):
    lifecycle.set_stopped()
    lifecycle.request_stop(1)
    assert Phase.STOPPED == lifecycle.phase


def test_a_request_is_in_flight_for_the_length_of_its_block(lifecycle):
    with lifecycle.admit("req_1", "/v1/messages"):
        assert (InFlight("req_1", "/v1/messages", 100.0),) == lifecycle.in_flight
    assert () == lifecycle.in_flight


def test_a_failed_request_is_not_in_flight(lifecycle):
    with pytest.raises(RuntimeError), lifecycle.admit("req_1", "/"):
        raise RuntimeError
    assert () == lifecycle.in_flight


def test_two_requests_with_one_id_count_twice(lifecycle):
    with lifecycle.admit("same", "/"), lifecycle.admit("same", "/"):
        assert 2 == len(lifecycle.in_flight)


@pytest.mark.parametrize("end", [lambda life: life.request_stop(30), Lifecycle.set_stopped])
def test_no_request_is_admitted_once_the_drain_began(lifecycle, end):
    end(lifecycle)
    with pytest.raises(Draining, match="shutting down"), lifecycle.admit("req_1", "/"):
        pass


async def test_a_drain_with_nothing_in_flight_is_over_at_once(lifecycle):
    lifecycle.request_stop(30)
    assert await lifecycle.drain()


async def test_a_drain_ends_with_the_last_request(lifecycle):
    with lifecycle.admit("req_1", "/"):
        with lifecycle.admit("req_2", "/"):
            lifecycle.request_stop(30)
            draining = asyncio.ensure_future(lifecycle.drain())
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not draining.done()
    assert await draining


async def test_a_drain_gives_up_at_its_deadline(lifecycle, clock):
    with lifecycle.admit("req_1", "/"):
        lifecycle.request_stop(30)
        clock.now_s += 30
        assert not await lifecycle.drain()


async def test_a_drain_wakes_up_by_itself_at_its_deadline():
    lifecycle = Lifecycle(asyncio.get_running_loop().time)
    with lifecycle.admit("req_1", "/"):
        lifecycle.request_stop(0.01)
        assert not await lifecycle.drain()


async def test_a_second_stop_without_grace_ends_the_drain_at_once(lifecycle):
    with lifecycle.admit("req_1", "/"):
        lifecycle.request_stop(30)
        draining = asyncio.ensure_future(lifecycle.drain())
        await asyncio.sleep(0)
        lifecycle.request_stop(0)
        assert not await draining


async def test_a_second_stop_can_not_move_the_deadline_away(lifecycle, clock):
    with lifecycle.admit("req_1", "/"):
        lifecycle.request_stop(1)
        lifecycle.request_stop(30)
        clock.now_s += 1
        assert not await lifecycle.drain()


async def test_asking_to_stop_wakes_who_waits_for_it(lifecycle):
    waiting = asyncio.ensure_future(lifecycle.stop_requested())
    await asyncio.sleep(0)
    assert not waiting.done()
    lifecycle.request_stop(30)
    await waiting
