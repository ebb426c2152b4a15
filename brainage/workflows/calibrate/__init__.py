"""``brainage calibrate``: a model's age bias and intervals at the scanner where it is used."""
