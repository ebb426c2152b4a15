"""Ordered calls of workflows: experiments of more than one run."""
