/* Certificates for tests, through OpenSSL: P-256, SHA-256. */
#include "certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool well, const char *what)
{
    if (well)
        return;
    fprintf(stderr, "certs: %s\n", what);
    abort();
}

static FILE *file_open(const char *folder, const char *name, const char *suffix, const char *mode)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, suffix);
    FILE *f = fopen(path, mode);
    must(f != NULL, path);
    return f;
}

static void extend(X509 *cert, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    must(e != NULL && X509_add_ext(cert, e, -1) == 1, value);
    X509_EXTENSION_free(e);
}

static void signer_read(const char *folder, const char *name, X509 **cert, EVP_PKEY **key)
{
    FILE *f = file_open(folder, name, "pem", "r");
    *cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    f = file_open(folder, name, "key", "r");
    *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    must(*cert != NULL && *key != NULL, name);
}

void cert_make(const char *folder, const char *name, const char *cn, const char *names, const char *signer, int days)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *with = key;
    X509 *cert = X509_new(), *issuer = cert;
    long serial;
    must(key != NULL && cert != NULL && RAND_bytes((unsigned char *)&serial, sizeof serial) == 1, "a key");
    if (signer != NULL)
        signer_read(folder, signer, &issuer, &with);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial & 0x7FFFFFFF);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), (long)days * 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer));
    extend(cert, issuer, NID_basic_constraints, signer == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (names != NULL)
        extend(cert, issuer, NID_subject_alt_name, names);
    must(X509_sign(cert, with, EVP_sha256()) > 0, "a signature");
    FILE *f = file_open(folder, name, "pem", "w");
    must(PEM_write_X509(f, cert) == 1 && fclose(f) == 0, "a certificate");
    f = file_open(folder, name, "key", "w");
    must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0, "a key");
    if (signer != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(with);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
}
