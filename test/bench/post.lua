-- wrk script: every request is a POST of the same body (the file BODY names; CTYPE, CODING: its fields), and the last
-- line printed is one JSON object for the runner.
local file = assert(io.open(assert(os.getenv("BODY"), "BODY names no file"), "rb"))
wrk.method, wrk.body = "POST", file:read("*a")
file:close()
wrk.headers["Content-Type"] = os.getenv("CTYPE") or "application/json"
if os.getenv("CODING") then
  wrk.headers["Content-Encoding"] = os.getenv("CODING")
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests":%d,"seconds":%.4f,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
