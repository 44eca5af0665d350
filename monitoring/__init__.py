"""
Watches a served model of any table: what was asked, what was predicted, what turned out to be true.
"""
