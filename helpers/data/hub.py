"""The Hugging Face hub, asked once whether it is there."""

SECONDS = 2.0  # to wait for a sign of life


def ask_hub(endpoint: str, seconds: float = SECONDS) -> None:
    """Return when the hub at `endpoint` answers, whatever it answers.

    The hub's own client tries each file six times and waits longer each time before it says that there is no network.
    seconds: how long to wait, above 0. Raises OSError with one line of why when it does not answer.
    """
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=seconds)
    except Exception as error:  # whatever the client's own transport raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise OSError(reason) from None
