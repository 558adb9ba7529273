"""Point estimators, one a file: methods whose output is an estimate of x0, no draw."""

from .red_diff import REDDiff as REDDiff

CATALOGUE = {"REDDiff": REDDiff}
