"""What flows into a network: data, Nodes and processes."""
