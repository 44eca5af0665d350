"""
Endpoints: instances are containers, updates move traffic between fleets of them.
"""
