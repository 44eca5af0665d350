-- For wrk: sends the bodies of a file in turn and prints the figures as one line of JSON.
-- wrk -s post.lua URL -- CONTENT-TYPE FILE, where each body in FILE stands after its length and a line feed.

local requests, turn = {}, 0

function init(args)
  local file = assert(io.open(args[2], "rb"))
  local headers = { ["Content-Type"] = args[1] }
  for length in function() return file:read("*l") end do
    requests[#requests + 1] = wrk.format("POST", nil, headers, file:read(tonumber(length)))
  end
  file:close()
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
