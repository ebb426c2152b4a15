"""``brainage stress``: the change of age under known changes of a scan."""
