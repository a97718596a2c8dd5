"""A row that is no conversation, on its way to becoming a row with a reason."""


class Unfit(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
