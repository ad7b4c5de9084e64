#!/usr/bin/env python3
"""A mail server on aiosmtpd, which keeps each mail as a file: what server_smtp.py starts.

usage: smtpd.py PORT FOLDER USER PASSWORD CERTIFICATE KEY starttls|smtps|none [mutual]

None: without TLS. Mutual: only clients come in whose certificate the server's own has signed. What it refuses: recipients whose name before the @ says so, mails with `poison` in them, and everything with the answer in
FOLDER/answer, if there is one.
"""
import asyncio
import email
import json
import os
import ssl
import sys
import uuid
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult

RECIPIENTS = {"nobody": "550 5.1.1 no such user here", "relay": "554 5.7.1 relay access denied", "later": "450 4.2.1 mailbox busy"}


class Keeper:
    def __init__(self, folder):
        self.folder = Path(folder)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        refusal = RECIPIENTS.get(address.partition("@")[0])
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):
        answer = self.folder / "answer"
        if answer.exists():
            return answer.read_text()
        if b"poison" in email.message_from_bytes(envelope.content).get_payload(decode=True):
            return "554 5.6.0 this mail is not to our taste"
        name = uuid.uuid4().hex
        kept = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "mail": envelope.content.decode("ascii")}
        part = self.folder / (name + ".part")
        part.write_text(json.dumps(kept))
        os.rename(part, self.folder / (name + ".json"))
        return "250 kept"


async def main(port, folder, user, password, certificate, key, way, mutual=None):
    context = None
    if way != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    if mutual:
        context.load_verify_locations(certificate)
        context.verify_mode = ssl.CERT_REQUIRED

    def known(_server, _session, _envelope, _mechanism, data):
        good = (data.login, data.password) == (user.encode(), password.encode())
        print("login", "taken" if good else "refused", flush=True)
        return AuthResult(success=good, handled=good)

    def session():
        starttls = way == "starttls"
        return SMTP(Keeper(folder), hostname="mail.test", authenticator=known, auth_required=True, auth_require_tls=starttls,
                    data_size_limit=1 << 20, tls_context=context if starttls else None, require_starttls=starttls)

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", int(port),
                                                            ssl=context if way == "smtps" else None)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
