"""What lies on disk to learn from; one file a kind of data set."""
