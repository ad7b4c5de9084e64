#!/usr/bin/env python3
"""An FTP server on pyftpdlib: what server_pyftpd.py starts.

usage: ftpd.py PORT FOLDER USER PASSWORD [CERTIFICATE KEY explicit|implicit [mutual]]

Mutual: only clients come in whose certificate the server's own has signed.
"""
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer


def clients_only(context, certificate):
    from OpenSSL import SSL

    context.load_verify_locations(certificate)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda _connection, _cert, _error, _depth, good: good)
    context.set_session_id(b"ftpd")  # without it no session is taken up again, as clients do for data


def handler_of(certificate, key, way, mutual=None):
    from pyftpdlib.handlers import TLS_FTPHandler

    class Handler(TLS_FTPHandler):
        certfile, keyfile = certificate, key
        tls_control_required = tls_data_required = True

        def __init__(self, sock, *more, **named):
            super().__init__(sock, *more, **named)
            if way == "implicit":
                self.secure_connection(self.ssl_context)

    if mutual:
        clients_only(Handler.get_ssl_context(), certificate)
    return Handler


def main(port, folder, user, password, *tls):
    handler = handler_of(*tls) if tls else FTPHandler
    handler.authorizer = DummyAuthorizer()
    handler.authorizer.add_user(user, password, folder, perm="elradfmwMT")
    handler.auth_failed_timeout = 0
    handler.max_login_attempts = 1000
    server = FTPServer(("127.0.0.1", int(port)), handler)
    server.max_cons_per_ip = 0
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
