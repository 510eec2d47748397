"""Containers and codecs: the only package that knows them."""
