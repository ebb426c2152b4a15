"""Ordered calls of workflows."""
