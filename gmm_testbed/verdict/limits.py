"""A limit to the seconds that another person's program may take."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from .._checks import fail


@contextlib.contextmanager
def limited(seconds: float, what: str) -> Iterator[None]:
    """Ends the block after some seconds, where signals can do so.

    On the main thread of a Unix system; elsewhere there is no limit.

    Args:
        seconds: that it may take; 0 for any time.
        what: runs in it, for the message.

    Raises:
        InputError: when they are over.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or getattr(signal, "SIGALRM", None) is None:
        yield
        return

    def over(number, frame):
        fail(
            "this takes too long",
            got=f"{what}: not done after {seconds:g} s",
            expected="an answer within this time",
            hint="look for a loop that does not end; judge a slow sampler on fewer steps, "
            "or a smaller network",
        )

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
