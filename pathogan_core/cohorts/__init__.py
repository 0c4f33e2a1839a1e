"""Cohorts: manifests, readers, simulators, checks and preparation.

The way of the data is `manifest` -> `brats` (reads files) or `simulated` (makes them) -> `check`
-> `prepare` -> `prepared`. Importing this package imports none of them: what trains needs only
`prepared`, and so must not pay for SimpleITK or pydantic.
"""
