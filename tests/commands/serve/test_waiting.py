"""Which images form a batch, and how long they wait for each other."""

import asyncio
from collections.abc import Callable

import pytest

from seglight.commands.serve.waiting import Queue, Waiting

TOGETHER = {"a": True, "b": True, "single": False}


def image(model: str = "a", size: tuple[int, int] = (4, 5), alone: bool = False, pixel: int = 3) -> Waiting:
    loop = asyncio.get_running_loop()
    return Waiting(model, size, b"", b"", loop.create_future(), loop.time(), alone=alone, pixel=pixel)


async def take(queue: Queue, seconds: float = 1.0) -> list[Waiting]:
    async with asyncio.timeout(seconds):
        return [*await queue.take(TOGETHER, lambda: False)]


def test_one_model_and_one_size() -> None:
    async def scenario() -> None:
        queue = Queue(batch=3, wait_s=0.0)
        first, other_size, other_model, second, third, fourth = (
            image(),
            image(size=(5, 4)),
            image("b"),
            image(),
            image(),
            image(),
        )
        for one in (first, other_size, other_model, second, third, fourth):
            queue.put(one)
        assert queue.lengths(["a", "b", "c"]) == {"a": 5, "b": 1, "c": 0}
        assert await take(queue) == [first, second, third]
        assert await take(queue) == [other_size]
        assert await take(queue) == [other_model]
        assert await take(queue) == [fourth]
        assert len(queue) == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "make",
    [
        lambda: image("single"),  # its predictor takes one image at a time
        lambda: image(alone=True),
        lambda: image(size=(4096, 4096)),  # a large one
        lambda: image(size=(1024, 1024), pixel=24),  # twelve bands of 16 bits
    ],
    ids=["predictor", "alone", "large", "bands"],
)
def test_alone(make: Callable[[], Waiting]) -> None:
    async def scenario() -> None:
        queue = Queue(batch=8, wait_s=5.0)
        pair = [make(), make()]
        for one in pair:
            queue.put(one)
        assert await take(queue) == pair[:1]
        assert await take(queue) == pair[1:]

    asyncio.run(scenario())


def test_one_client_never_waits_for_others() -> None:
    async def scenario() -> None:
        queue = Queue(batch=8, wait_s=5.0)
        for _ in range(3):
            one = image()
            queue.put(one)
            assert await take(queue, 0.5) == [one]
            one.outcome.set_result(None)  # type: ignore[arg-type]
            await asyncio.sleep(0)

    asyncio.run(scenario())


def test_two_clients_wait_for_each_other_until_the_batch_is_full_or_the_time_is_over() -> None:
    async def scenario() -> None:
        queue = Queue(batch=2, wait_s=0.2)
        first, second, third = image(), image(), image()
        queue.put(first)
        queue.put(image("b"))
        taking = asyncio.create_task(take(queue))
        await asyncio.sleep(0.01)
        assert not taking.done()
        queue.put(second)
        assert await taking == [first, second]
        start = asyncio.get_running_loop().time()
        third.arrived = start
        queue.put(third)
        assert [one.model for one in await take(queue)] == ["b"]
        assert await take(queue) == [third]
        assert 0.19 < asyncio.get_running_loop().time() - start < 0.6

    asyncio.run(scenario())


def test_processes_that_have_nothing_to_do_share() -> None:
    async def scenario() -> None:
        queue = Queue(batch=8, wait_s=5.0)
        takers = [asyncio.create_task(take(queue)) for _ in range(2)]
        await asyncio.sleep(0)
        images = [image() for _ in range(8)]
        for one in images:
            queue.put(one)
        assert await asyncio.gather(*takers) == [images[:4], images[4:]]

    asyncio.run(scenario())


def test_images_of_a_process_that_died_come_first() -> None:
    async def scenario() -> None:
        queue = Queue(batch=1, wait_s=0.0)
        former, later = [image(), image()], image()
        queue.put(later)
        queue.put_back(former)
        assert [*await take(queue), *await take(queue), *await take(queue)] == [*former, later]

    asyncio.run(scenario())


def test_who_leaves_is_not_predicted() -> None:
    async def scenario() -> None:
        queue = Queue(batch=8, wait_s=0.0)
        left, stayed = image(), image()
        queue.put(left)
        queue.put(stayed)
        assert queue.discard(left)
        assert not queue.discard(left)
        assert await take(queue) == [stayed]

    asyncio.run(scenario())


def test_a_seat_that_is_done_takes_nothing() -> None:
    async def scenario() -> None:
        queue = Queue(batch=8, wait_s=0.0)
        done = False
        taking = asyncio.create_task(queue.take(TOGETHER, lambda: done))
        await asyncio.sleep(0.01)
        done = True
        queue.wake()
        assert not await taking
        queue.put(image())
        assert not await queue.take(TOGETHER, lambda: True)
        assert len(queue) == 1

    asyncio.run(scenario())
