"""A model's report: from the store to one page."""

from storage.report.page import report as report
