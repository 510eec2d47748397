"""Frozen networks that training asks about a picture: emotion, identity and expression.

They are rebuilt in torch so that what they say has a gradient. The judge of emotions in the
evaluation is none of them: who was learned to please cannot say whether it was learned. The network
of identity measures likeness there as well, which its rows say.
"""
