"""What a face says and what it feels, each without the other: CCRL and CERL."""
