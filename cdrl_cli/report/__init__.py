"""A page that shows what an edit did: both videos in step, and curves of what is read from them."""

from cdrl_cli.report.page import write_report
from cdrl_cli.report.reading import ReadFace, Reading, Untouched, read_edit

__all__ = ["ReadFace", "Reading", "Untouched", "read_edit", "write_report"]
