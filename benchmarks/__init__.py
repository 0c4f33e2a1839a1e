"""How fast the project trains, simulates and prepares: `python -m benchmarks`, see README.md."""
