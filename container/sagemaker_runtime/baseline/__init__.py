"""
What training tells about its rows and its errors, in one small file beside the model.
"""
