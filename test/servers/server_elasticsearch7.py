"""Elasticsearch 7, from Maven, like OpenSearch. (Under the Elastic licence: for tests only.)"""
from server_opensearch import OpenSearch


class Elasticsearch7(OpenSearch):
    name, version = "elasticsearch7", "7.17.28"
    artifact = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
    program, kind = "elasticsearch", "ES"
