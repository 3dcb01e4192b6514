"""The image, built and tried on a Debian machine without a registry: `make image` and `make image-arm64`.

build.py          the base, the wheels, the image
architectures.py  what architectures an image can have, and which run here
machine.py        commands of this machine, and the tools that they need
trial.py          starts the image as Kubernetes would, and watches through it
sboms.py          the lists of what is in the image, in CycloneDX and SPDX
"""
