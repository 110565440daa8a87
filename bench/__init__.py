"""What is fast and how we know: loads a large database, measures beside the bare query, prints ratios of one run."""
