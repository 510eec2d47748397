"""A page on this machine to try, steer and make an edit: what it holds, and how it looks."""
