"""Elasticsearch 8, from Maven, like OpenSearch. (Under the Elastic licence: for tests only.)"""
from server_opensearch import OpenSearch


class Elasticsearch8(OpenSearch):
    name, version = "elasticsearch8", "8.17.0"
    artifact = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
    program, kind = "elasticsearch", "ES"
    more = {"xpack.security.enabled": "false"}
