"""Release packages for developers of suites: `python -m deploy.packages.build FOLDER`, which `make packages` runs.

build.py  make all packages: wheels, source distributions, an npm tarball, and sources for Maven, NuGet and Go
npm/      the npm package: `presence-api`
maven/    the project that makes the Maven package from the protos
nuget/    the project that makes the NuGet package from the protos
go/       the Go module, whose code is generated from the protos
"""
