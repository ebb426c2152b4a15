"""Ordered calls of workflows: experiments of more than one run."""

from brainage.environment import prepare_environment

# Before a pipeline imports its workflows: MONAI imports MLflow, which reads its environment then.
prepare_environment()
