"""What a broker says when it refuses: the reply code and text of the close."""

import contextlib
import re

import pytest
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker


@contextlib.contextmanager
def refusal(code, text, closes=ChannelClosedByBroker):
    """The block must end with the channel closed with this code and a text that matches `text`."""
    with pytest.raises(closes) as caught:
        yield
    assert caught.value.reply_code == code, caught.value
    assert re.search(text, caught.value.reply_text), caught.value


def hard_refusal(code, text):
    """The same for the whole connection."""
    return refusal(code, text, ConnectionClosedByBroker)
