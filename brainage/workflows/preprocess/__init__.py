"""``brainage preprocess``: raw scans to derivatives, here or on a cluster."""
