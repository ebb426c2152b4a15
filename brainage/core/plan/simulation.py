"""A machine in miniature: programs that work, wait for one another and share cores.

Discrete events, standard library alone. A program is a generator that yields what it wants next:
``Work``, ``Take``, ``Give`` or ``Meet``.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field

NEVER_MIND_SECONDS = 1e-12
"""Work of which less is left is done: sums of floating-point numbers are not exact."""


@dataclass(frozen=True)
class Work:
    """Be busy for so many seconds of an undisturbed device.

    ``threads``: cores it keeps busy meanwhile; 0 for what needs none, such as a network card.
    """

    seconds: float
    threads: float = 1.0


@dataclass(eq=False)
class Tokens:
    """Things that can be taken and given: full or free places of a queue."""

    count: int = 0
    waiting: "deque[Program]" = field(default_factory=deque)


@dataclass(frozen=True)
class Take:
    """Wait for one and take it."""

    tokens: Tokens


@dataclass(frozen=True)
class Give:
    """Put one there, at once."""

    tokens: Tokens


@dataclass(eq=False)
class Barrier:
    """A point where ``size`` programs wait for one another, again and again."""

    size: int
    waiting: "list[Program]" = field(default_factory=list)


@dataclass(frozen=True)
class Meet:
    """Wait at the barrier until everyone is there."""

    barrier: Barrier


Request = Work | Take | Give | Meet
Program = Generator[Request, None, None]


@dataclass(frozen=True)
class SharedCores:
    """Cores that all programs share.

    ``slowdown``: how much longer work takes when all cores are busy than when one is (memory,
    clock and hyperthreads are shared too); between these, by the number of busy cores.
    """

    cores: float
    slowdown: float = 1.0

    def speed(self, threads: float) -> float:
        """Of every program, while so many threads want to run; 1 is that of one alone."""
        if threads <= 0:
            return 1.0
        busy = min(threads, self.cores)
        share = busy / threads
        if self.cores == 1:
            return share
        crowding = max(0.0, busy - 1) / (self.cores - 1)
        return share / (1 + (self.slowdown - 1) * crowding)


@dataclass
class _Job:
    program: Program
    left: float
    threads: float


class Machine:
    """Runs programs; ``now`` is the time in seconds.

    Args:
        shared: cores that the programs share; None gives each its own.
    """

    def __init__(self, shared: SharedCores | None = None) -> None:
        self.now = 0.0
        self._shared = shared
        self._ready: deque[Program] = deque()
        self._jobs: list[_Job] = []

    def start(self, program: Program) -> None:
        """Let a program begin."""
        self._ready.append(program)

    def run(self) -> None:
        """Until no program can go on."""
        while True:
            while self._ready:
                self._advance(self._ready.popleft())
            if not self._jobs:
                return
            self._pass_time()

    def _pass_time(self) -> None:
        """Go on to the moment at which the first job is done."""
        shared = self._shared
        threads = sum(job.threads for job in self._jobs)
        crowded = 1.0 if shared is None else shared.speed(threads)
        speeds = [crowded if job.threads else 1.0 for job in self._jobs]
        passed = min(job.left / speed for job, speed in zip(self._jobs, speeds, strict=True))
        self.now += passed
        going: list[_Job] = []
        for job, speed in zip(self._jobs, speeds, strict=True):
            job.left -= passed * speed
            if job.left <= NEVER_MIND_SECONDS:
                self._ready.append(job.program)
            else:
                going.append(job)
        self._jobs = going

    def _advance(self, program: Program) -> None:
        """Carry out what a program asks for until it has to wait."""
        for request in program:
            if not self._carry_out(program, request):
                return

    def _carry_out(self, program: Program, request: Request) -> bool:
        """Whether the program can go on at once."""
        if isinstance(request, Work):
            if request.seconds > 0:
                self._jobs.append(_Job(program, request.seconds, request.threads))
                return False
        elif isinstance(request, Take):
            if request.tokens.count == 0:
                request.tokens.waiting.append(program)
                return False
            request.tokens.count -= 1
        elif isinstance(request, Give):
            if request.tokens.waiting:
                self._ready.append(request.tokens.waiting.popleft())
            else:
                request.tokens.count += 1
        else:
            barrier = request.barrier
            if len(barrier.waiting) + 1 < barrier.size:
                barrier.waiting.append(program)
                return False
            self._ready.extend(barrier.waiting)
            barrier.waiting.clear()
        return True
