"""
Request bodies to what an algorithm predicts from, and predictions to answers.
"""
