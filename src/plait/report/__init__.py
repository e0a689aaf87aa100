"""What a fit leaves to be read: a page, the same as data, and a model card."""

from plait.report.card import model_card
from plait.report.content import report_json
from plait.report.page import report_page

__all__ = ["model_card", "report_json", "report_page"]
