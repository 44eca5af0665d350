"""
SageMaker's control plane and runtime on this machine, in front of moto: ``local_test/cloud.sh``.
"""
