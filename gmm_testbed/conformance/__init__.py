"""Questions that any method is asked, and the verdict in words: `conformance`."""

from .ask import conformance as conformance
from .report import Answer as Answer
from .report import Report as Report
