"""What the weights are made with: one recipe a file."""
