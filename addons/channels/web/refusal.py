"""How the website's chat says no: a code for the program, a status for the network, plain words for the person."""

# The HTTP status of every code.
STATUS = {
    "bad_request": 400,
    "bad_text": 400,
    "too_long": 400,
    "no_token": 401,
    "bad_token": 401,
    "expired": 401,
    "foreign_origin": 403,
    "not_found": 404,
    "too_large": 413,
    "too_many": 429,
    "failed": 500,
    "busy": 503,
}


class Refused(Exception):
    """A request that is not served. It carries nothing of what was sent, so it may be logged."""

    def __init__(self, code: str, retry_after: int | None = None) -> None:
        """Refuse.

        Args:
            code: a key of `STATUS`; its words are the response `utter_technical_<code>`.
            retry_after: whole seconds after which the same request may succeed.
        """
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after
