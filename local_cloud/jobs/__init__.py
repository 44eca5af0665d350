"""
Jobs: training, batch transform, processing and tuning, as containers in the background.
"""
