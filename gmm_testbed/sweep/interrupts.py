"""Ctrl-C in a run: taken between cells, or inside of one, and never while one is kept.

Python raises KeyboardInterrupt wherever the main thread is, in a transaction or between the
end of a cell and its place in the store; or where nobody sees it, as in a callback of the
garbage collector.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator


class Interrupts:
    """Whether there was a Ctrl-C that has not been taken.

    Attributes:
        waiting: whether there was.
        allowed: whether it may end what runs now.
    """

    def __init__(self):
        self.waiting = self.allowed = False

    def take(self) -> None:
        """Raises KeyboardInterrupt if there was one."""
        if self.waiting:
            self.waiting = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Lets it end what is inside, as it would elsewhere."""
        self.take()
        self.allowed = True
        try:
            yield
        finally:
            self.allowed = False

    def _came(self, *_) -> None:
        again, self.waiting = self.waiting, True
        if self.allowed or again:
            raise KeyboardInterrupt


@contextlib.contextmanager
def deferring() -> Iterator[Interrupts]:
    """Holds Ctrl-C back until it is taken, or until the end; a second one is not held.

    In another thread than the main one, or where a program handles it by itself, it does
    nothing.
    """
    found = Interrupts()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield found
        return
    signal.signal(signal.SIGINT, found._came)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    found.take()
