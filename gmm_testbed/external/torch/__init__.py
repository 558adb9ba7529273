r"""PyTorch: the exact denoiser as a module, and programs and operators of other people.

    net = gt.torch.Denoiser(prior)          # a torch.nn.Module: E[x0 | x] at any scales
    net(x, alpha, sigma), net.eps(x, alpha, sigma), net.score(...), net.v(...)
    gt.torch.EDM(net)                       # net(x, sigma), also deepinv's Denoiser
    gt.torch.GuidedDiffusion(net, alphas_cumprod)      # model(x, t)
    gt.torch.Diffusers(net, alphas_cumprod)            # unet(x, t).sample
    gt.torch.Azula(net, path)               # azula's Denoiser

    gt.External(program, views=gt.torch.Views())       # a sampler, with tensors
    gt.torch.Forward(measurement)           # a measurement as a module, and back:
    gt.torch.linear(fn, R, shape), gt.torch.nonlinear(fn, R, shape)
    gt.torch.physics(measurement, shape), gt.torch.from_physics(physics, shape)
    gt.torch.Network(fn, shape)             # a network, for target.seen_through

Nothing else in this package imports PyTorch, and this module does so when one of its
names is first asked for.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from ..._checks import unsupported

if TYPE_CHECKING:  # for type checkers: what the table below finds
    from .azula import Azula as Azula
    from .conventions import EDM as EDM
    from .conventions import Diffusers as Diffusers
    from .conventions import GuidedDiffusion as GuidedDiffusion
    from .denoiser import Denoiser as Denoiser
    from .measurements import Forward as Forward
    from .measurements import linear as linear
    from .measurements import nonlinear as nonlinear
    from .network import Network as Network
    from .operators import from_physics as from_physics
    from .operators import physics as physics
    from .views import Views as Views

_LAZY = {
    "Azula": "azula",
    "Denoiser": "denoiser",
    "Diffusers": "conventions",
    "EDM": "conventions",
    "Forward": "measurements",
    "GuidedDiffusion": "conventions",
    "Network": "network",
    "Views": "views",
    "from_physics": "operators",
    "linear": "measurements",
    "nonlinear": "measurements",
    "physics": "operators",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    """Imports a name, and with it PyTorch, when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}", name=name
        )
    _require("torch", "pip install 'gmm-testbed[torch]'")
    if name == "Azula":
        _require("azula", "pip install azula")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__


def _require(package: str, command: str) -> None:
    if importlib.util.find_spec(package) is None:
        unsupported(
            f"the bridge needs {package}, which is not installed",
            got=f"no package {package}",
            expected=f"{package} beside gmm_testbed",
            hint=command,
        )
