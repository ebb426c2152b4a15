"""Backbones: a configuration in, a chain of stages that can be cut anywhere out."""
