"""
Training jobs: what ``train`` does around the algorithm.
"""
