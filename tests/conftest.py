"""Settings of the whole suite."""

from hypothesis import HealthCheck, settings

from brainage.tracking.mlflow_environment import prepare_environment

# As the program does before anything imports MLflow, which MONAI does unasked.
prepare_environment()

# Two busy cores are slow at times: an example's duration tells nothing about the code.
settings.register_profile(
    "brainage", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("brainage")
