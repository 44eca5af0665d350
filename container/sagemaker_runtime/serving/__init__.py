"""
The processes of ``serve``.
"""
