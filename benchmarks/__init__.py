"""Speed against peers: python -m benchmarks.<name> --json FILE."""
