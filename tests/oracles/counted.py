"""A path that notes when a program that uses it is traced."""

import jax

import gmm_testbed as gt

TRACES = []


class Counted(gt.AbstractPath):
    """VP, that notes when a program is traced."""

    inner: gt.VP = gt.VP()

    def alpha(self, t):
        TRACES.extend(["alpha"] * isinstance(t, jax.core.Tracer))
        return self.inner.alpha(t)

    def sigma(self, t):
        return self.inner.sigma(t)

    def drift(self, t):
        return self.inner.drift(t)

    def diffusion_squared(self, t):
        return self.inner.diffusion_squared(t)

    def time_at_log_snr(self, log_snr):
        return self.inner.time_at_log_snr(log_snr)
