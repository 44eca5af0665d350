"""
Words of error messages.
"""

from sagemaker_runtime.formats.values import shown

__all__ = ["shown"]
