#!/usr/bin/env python3
"""An FTP server on pyftpdlib: what server_pyftpd.py starts.

usage: ftpd.py PORT FOLDER USER PASSWORD [CERTIFICATE KEY explicit|implicit]
"""
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer


def handler_of(certificate, key, way):
    from pyftpdlib.handlers import TLS_FTPHandler

    class Handler(TLS_FTPHandler):
        certfile, keyfile = certificate, key
        tls_control_required = tls_data_required = True

        def __init__(self, sock, *more, **named):
            super().__init__(sock, *more, **named)
            if way == "implicit":
                self.secure_connection(self.ssl_context)

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
