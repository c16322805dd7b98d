#!/usr/bin/python3
"""A real SMTP server for tests: Debian's aiosmtpd, writing a maildir.

Listens on a free port of 127.0.0.1 and prints `port N`. Every mail becomes a
file in MAILDIR/new: X- headers that tell its envelope, then the bytes as they
came. Faults on demand, so that a client's answers to them can be tested.
"""

import argparse
import asyncio
import mailbox
import os
import ssl
import subprocess

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

STAGES = ["connect", "mail", "rcpt", "data"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("maildir")
    parser.add_argument("--refuse", action="append", default=[], metavar="ADDRESS=CODE",
                        help="answer RCPT for that address with 451, 550, ...")
    parser.add_argument("--refuse-mail", metavar="CODE", help="answer MAIL with it")
    parser.add_argument("--refuse-message", metavar="CODE", help="answer the end of every message with it")
    parser.add_argument("--certificate", metavar="FILE",
                        help="offer STARTTLS; made, self-signed, when missing, with its key in FILE.key")
    parser.add_argument("--certificate-name", default="127.0.0.1", metavar="NAME")
    parser.add_argument("--require-starttls", action="store_true")
    parser.add_argument("--tls", action="store_true", help="TLS from the first byte instead of STARTTLS")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS", help="before the answer to a message")
    parser.add_argument("--hang", choices=STAGES, help="never answer at that stage")
    parser.add_argument("--stall", action="append", default=[], metavar="ADDRESS",
                        help="never answer a message to that address or @domain")
    parser.add_argument("--hold", metavar="FILE", help="answer no message while the file exists")
    parser.add_argument("--drop-once", action="append", default=[], metavar="ADDRESS",
                        help="take the first message to that address, then close the connection without an answer")
    parser.add_argument("--drop", choices=STAGES, help="close the connection at that stage, without an answer")
    return parser.parse_args()


def make_certificate(file, name):
    kind = "IP" if name.replace(".", "").isdigit() else "DNS"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName={kind}:{name}", "-keyout", file + ".key", "-out", file],
        check=True, capture_output=True)


class Handler:
    def __init__(self, options):
        self.options = options
        self.refused = dict(item.rsplit("=", 1) for item in options.refuse)
        self.dropping = set(options.drop_once)
        self.maildir = mailbox.Maildir(options.maildir, create=True)

    async def at(self, server, stage):
        if self.options.hang == stage:
            await asyncio.Event().wait()
        if self.options.drop == stage:
            server.transport.abort()
            raise ConnectionResetError

    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        await self.at(server, "mail")
        if self.options.refuse_mail:
            return f"{self.options.refuse_mail} not from you"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        await self.at(server, "rcpt")
        if address in self.refused:
            return f"{self.refused[address]} no mail for {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        await self.at(server, "data")
        await asyncio.sleep(self.options.delay)
        for address in (to.lower() for to in envelope.rcpt_tos):
            if any(address.endswith(end) if end.startswith("@") else address == end for end in self.options.stall):
                await asyncio.Event().wait()
        if self.options.refuse_message:
            return f"{self.options.refuse_message} not this one"
        user = session.auth_data.decode() if session.authenticated else ""
        head = [f"X-MailFrom: {envelope.mail_from}", f"X-RcptTo: {', '.join(envelope.rcpt_tos)}",
                f"X-Helo: {session.host_name}", f"X-Peer: {session.peer[1]}",
                f"X-Tls: {'yes' if session.ssl or self.options.tls else 'no'}", f"X-User: {user}"]
        self.maildir.add("".join(line + "\r\n" for line in head).encode() + envelope.original_content)
        if self.dropping.intersection(envelope.rcpt_tos):
            self.dropping.difference_update(envelope.rcpt_tos)
            server.transport.abort()
            raise ConnectionResetError
        while self.options.hold and os.path.exists(self.options.hold):
            await asyncio.sleep(0.02)
        return "250 OK"


async def main(options):
    context = None
    if options.certificate:
        if not os.path.exists(options.certificate):
            make_certificate(options.certificate, options.certificate_name)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.certificate + ".key")

    def authenticate(server, session, envelope, mechanism, data):
        ok = (isinstance(data, LoginPassword) and data.login.decode() == options.user
              and data.password.decode() == options.password)
        return AuthResult(success=ok, handled=False, auth_data=data.login if ok else None)

    def connection():
        return SMTP(handler, hostname="mail.test", tls_context=None if options.tls else context,
                    require_starttls=options.require_starttls, auth_required=options.user is not None,
                    auth_require_tls=False, authenticator=authenticate if options.user is not None else None)

    handler = Handler(options)
    if options.hang == "connect":
        server = await asyncio.start_server(lambda r, w: asyncio.Event().wait(), "127.0.0.1", 0)
    elif options.drop == "connect":
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    else:
        server = await asyncio.get_running_loop().create_server(
            connection, "127.0.0.1", 0, ssl=context if options.tls else None)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main(arguments()))
