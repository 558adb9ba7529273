"""Studies: experiments that say what they show, those of files and of the package."""

from .files import COLUMNS as COLUMNS
from .files import FOLDER as FOLDER
from .files import OF_PACKAGE as OF_PACKAGE
from .files import Expected as Expected
from .files import Judged as Judged
from .files import Study as Study
from .files import attempt as attempt
from .files import found as found
from .files import get as get
from .files import locate as locate
from .files import noting as noting
from .files import read as read
from .files import title as title
from .runs import STORE as STORE
from .runs import broken as broken
from .runs import executing as executing
from .runs import existing as existing
from .runs import export as export
from .runs import find as find
from .runs import run as run
from .runs import stale as stale
from .runs import status as status
from .runs import unfinished as unfinished
from .screen import show as show
from .statement import statement as statement
