"""Where the path divergence of a sampler comes from, and the time grid that it asks for."""

from .grid import leading_order as leading_order
from .grid import optimal_grid as optimal_grid
from .mixture_terms import reverse_kernel as reverse_kernel
from .path import Budget as Budget
from .path import budget as budget
from .reverse import path_log_ratio as path_log_ratio
