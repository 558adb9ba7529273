"""Every measure of a law: at its last time, and on the way."""

from .at_the_end import Grids as Grids
from .at_the_end import Reference as Reference
from .at_the_end import final as final
from .at_the_end import own_grids as own_grids
from .at_the_end import reference as reference
from .at_the_end import resized as resized
from .at_the_end import scalars as scalars
from .at_the_end import shared_grids as shared_grids
from .at_the_end import shared_reference as shared_reference
from .on_the_way import passing as passing
