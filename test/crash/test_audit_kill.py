"""The audit log's line is there before the answer: a daemon that is killed in between has said nothing to anybody."""
import http.client
import json

import pytest
from faults import KILL, install
from gateway import Gateway


def lines(g):
    return [json.loads(line) for line in (g.data / "audit.log").read_text().splitlines()]


def test_killed_between_the_line_and_the_answer(tmp_path):
    program, page, _ = install(tmp_path / "bin")
    with Gateway(program=program) as g:
        assert g.admin("POST", "/v1/pushers/file/pause?why=answered").status == 200
        answers = [(key, count) for key, (count, name) in page.sites().items()
                   if name.startswith("sendmsg headgate+") and "plain_answer" in page.where(name)]
        assert len(answers) == 1, page.sites()
        (key, count), = answers
        page.arm(key, count + 1, KILL)
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            g.admin("POST", "/v1/pushers/file/resume?why=not-answered")
        assert g.ended() == -9
        page.disarm()
        assert [(e["action"], e["why"], e["status"]) for e in lines(g)] == \
            [("pusher.pause", "answered", 200), ("pusher.resume", "not-answered", 200)]
        g.start()
        assert len(g.get("/v1/audit")["audit"]) == 2
