"""The method: leader-follower learning on blocks of a network. Standard library and torch only.

"Supplement" in docstrings below is that of *Neuron-Inspired Leader-Follower Networks for AI with
Local Error Signals*; the method was first described in arXiv 2310.07885.
"""
