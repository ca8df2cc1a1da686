"""The paper's steps, cached: what the notebooks call.

study = Study.open(PRESET="demo", TASKS="bbc")
records = study.fine_tune(["base", "dapt"])
"""

from helpers.study import views
from helpers.study.parameters import environment, parameters
from helpers.study.study import Study

__all__ = ["Study", "environment", "parameters", "views"]
