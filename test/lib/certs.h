/* An authority and certificates signed by it, made in a folder as PEM files. Everything fails the test when it cannot
 * be done. */
#ifndef TEST_CERTS_H
#define TEST_CERTS_H

/* `folder`/NAME.pem and NAME.key. `signer` NULL: it signs itself and may sign others. `names`: of OpenSSL's notation
 * for subjectAltName ("DNS:localhost,IP:127.0.0.1"), or NULL. Valid from yesterday for `days`. */
void cert_make(const char *folder, const char *name, const char *cn, const char *names, const char *signer, int days);

#endif
