"""Where received messages wait: a bounded queue that keeps each person's order and lets people not wait for each other.

A platform wants its acknowledgement within seconds and sends again without it, so receiving and answering are apart.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from addons.logs import where

Job = Callable[[], Awaitable[None]]

logger = logging.getLogger(__name__)


class Inbox:
    """Waiting work, by person."""

    def __init__(self, room: int = 1000, at_once: int = 8) -> None:
        """Start empty.

        Args:
            room: how many jobs may wait in all.
            at_once: how many people are served at the same time.
        """
        self._room = room
        self._free = asyncio.Semaphore(at_once)
        self._waiting: dict[str, deque[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def waiting(self, person: str) -> int:
        """How many jobs of one person wait."""
        return len(self._waiting.get(person, ()))

    def put(self, jobs: Sequence[tuple[str, Job]]) -> bool:
        """Take all of these, or none.

        Args:
            jobs: person and work, in the order to be done.

        Returns:
            False when there is no room for all of them; the platform is then told to send again.
        """
        if len(self) + len(jobs) > self._room:
            logger.error("The inbox is full (%d waiting); a delivery was refused.", len(self))
            return False
        for person, job in jobs:
            if person in self._waiting:
                self._waiting[person].append(job)
                continue
            self._waiting[person] = deque([job])
            task = asyncio.create_task(self._serve(person))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return True

    async def empty(self, seconds: float) -> None:
        """Finish what waits, before the server stops.

        Args:
            seconds: how long that may take; what is left then is lost, and said so.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        if self._waiting:
            logger.error("Stopped with %d received messages not answered.", len(self))

    async def _serve(self, person: str) -> None:
        """One person's jobs, one after another."""
        jobs = self._waiting[person]
        while jobs:
            async with self._free:
                job = jobs[0]
                try:
                    await job()
                except Exception as error:
                    logger.error("A received message was not answered: %s", where(error))
                jobs.popleft()
        del self._waiting[person]
