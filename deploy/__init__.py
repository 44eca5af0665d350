"""
The commands of ./deploy.sh: from data to everything that serves on SageMaker, and back.
"""
