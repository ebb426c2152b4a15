"""The method: leader-follower learning on blocks of a network. Standard library and torch only."""
