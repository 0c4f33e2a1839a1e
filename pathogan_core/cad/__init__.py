"""Computer-aided diagnosis: what the generated images are for, one file per network."""
