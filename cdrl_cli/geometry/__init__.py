"""Pure arrays in, arrays out."""
