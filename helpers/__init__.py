"""Domain- and task-adaptive pretraining, step by step: the logic behind the six notebooks.

Nothing heavy is imported here, so that looking at tables and figures never loads torch.
"""

__version__ = "0.1.0"
