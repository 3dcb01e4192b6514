"""What operators deploy the relay with: the Helm chart in `helm/`, and the image, which `image/` builds and tries."""
