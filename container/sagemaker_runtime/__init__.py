"""
SageMaker's contract with a container, for any algorithm: leave this package alone.
"""
