"""
Judges from outside whether an image does what SageMaker expects of a container.

It starts the image as SageMaker does and looks at what comes of it. It needs Python's standard
library and the docker command, and knows nothing of what is inside the image.
"""
