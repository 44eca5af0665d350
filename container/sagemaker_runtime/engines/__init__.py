"""
Scoring engines that any model may use.
"""
