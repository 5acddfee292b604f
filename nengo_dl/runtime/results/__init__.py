"""What is read out of a simulator: records, values and files."""
