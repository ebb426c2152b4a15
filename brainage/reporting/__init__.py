"""Metrics with intervals, figures and the HTML report."""
