#!/usr/bin/python3
"""What an independent reader makes of a mail: prints it as JSON."""

import email
import email.header
import email.policy
import email.utils
import json
import sys

with open(sys.argv[1], "rb") as file:
    message = email.message_from_bytes(file.read(), policy=email.policy.default)

defects = [repr(d) for part in message.walk() for d in part.defects]
defects += [f"{name}: {d!r}" for name, value in message.items() for d in getattr(value, "defects", [])]


def mailboxes(name):
    # The modern parser keeps the blanks between adjacent encoded words of a
    # phrase, which RFC 2047 §6.2 says to ignore; the old decoder does not.
    raw = dict(message.raw_items())[name].rpartition("<")[0]
    display = str(email.header.make_header(email.header.decode_header(raw))).strip()
    if display.startswith('"'):
        display = email.utils.unquote(display)
    return [{"name": display, "address": a.addr_spec} for a in message[name].addresses]


print(json.dumps({
    "defects": defects,
    "names": list(message.keys()),
    "subject": message["Subject"],
    "from": mailboxes("From"),
    "to": mailboxes("To"),
    "date": message["Date"].datetime.isoformat(),
    "message_id": message["Message-ID"],
    "type": message.get_content_type(),
    "parts": [{"type": part.get_content_type(), "charset": part.get_content_charset(), 
               "text": part.get_content().replace("\r\n", "\n")}
              for part in message.walk() if not part.is_multipart()],
}))
