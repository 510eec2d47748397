"""The version of the distributions spfem and spfem-weights-research."""

__version__ = "0.2.0"
