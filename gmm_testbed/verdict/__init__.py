"""Whether anybody's sampler is right, in plain words: `verdict`."""

from .forms import load as load
from .judge import verdict as verdict
from .record import Curve as Curve
from .record import Finding as Finding
from .record import Verdict as Verdict
